namespace PureQLora.Core;

/// <summary>
/// The rows of a work item by fours: each quad takes one of every quarter, so that consecutive quads read four streams. A rest of fewer
/// than four rows makes a quad with the rows before it, which are computed twice, to the same bits.
/// </summary>
internal readonly struct RowQuads
{
    private const int Rows = PackedKernelAssembler.Rows;
    private readonly long _first;
    private readonly long _quarter;
    private readonly long _end;

    /// <param name="start">First quad of the item.</param>
    /// <param name="end">Quad behind the last.</param>
    /// <param name="rows">Rows of the whole weight, at least 4.</param>
    public RowQuads(long start, long end, long rows)
    {
        _first = Rows * start;
        _end = Math.Min(Rows * end, rows);
        _quarter = (_end - _first) / Rows;
        Count = (int)(_quarter + ((_end - _first) % Rows == 0 ? 0 : 1));
    }

    /// <summary>Quads of the item.</summary>
    public int Count { get; }

    /// <summary>First row of a quad, and the distance of its rows.</summary>
    public (long Row, long Step) this[int quad] => quad < _quarter ? (_first + quad, _quarter) : (_end - Rows, 1);
}
