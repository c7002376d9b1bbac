using System.Numerics;

namespace PureQLora.Kernels.Simulation.Memory;

/// <summary>The cells of a page of memory, as fine as its smallest access so far.</summary>
internal sealed class ShadowPage(int initialWritten)
{
    public const int Bytes = 1 << 12;
    private const int CoarsestShift = 4;

    private readonly int _initialWritten = initialWritten;
    private ShadowCell[]? _cells;
    private int _shift = CoarsestShift;

    /// <summary>Finds out what is wrong with an access that lies within the page, and remembers it.</summary>
    public Finding Touch(int offset, int size, AccessKind kind, in Accessor by, bool isShared)
    {
        Span<ShadowCell> cells = Cells(offset, size);
        Finding finding = default;
        foreach (ref ShadowCell cell in cells)
        {
            Finding ofCell = cell.Touch(kind, by, isShared);
            finding = finding.IsFault ? finding : ofCell;
        }

        return finding;
    }

    /// <summary>Sets who has written a stretch: the host, or nobody.</summary>
    public void SetWritten(int offset, int size, int serial)
    {
        foreach (ref ShadowCell cell in Cells(offset, size))
        {
            cell.Written = serial;
        }
    }

    private Span<ShadowCell> Cells(int offset, int size)
    {
        int shift = Math.Min(CoarsestShift, BitOperations.TrailingZeroCount(offset | size));
        if (_cells is null)
        {
            _shift = shift;
            _cells = new ShadowCell[Bytes >> shift];
            foreach (ref ShadowCell cell in _cells.AsSpan())
            {
                cell.Written = _initialWritten;
            }
        }
        else if (shift < _shift)
        {
            Refine(shift);
        }

        return _cells.AsSpan(offset >> _shift, size >> _shift);
    }

    private void Refine(int shift)
    {
        ShadowCell[] finer = new ShadowCell[Bytes >> shift];
        int parts = 1 << (_shift - shift);
        for (int i = 0; i < finer.Length; i++)
        {
            finer[i] = _cells![i / parts];
        }

        (_cells, _shift) = (finer, shift);
    }
}
