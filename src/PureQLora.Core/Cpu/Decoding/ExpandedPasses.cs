namespace PureQLora.Core;

/// <summary>
/// How kernels share rows of x: three in a pass, and two in the last ones where that leaves none alone, as a single row has too few
/// sums to keep the processor busy.
/// </summary>
internal readonly struct ExpandedPasses
{
    private readonly int _rows;
    private readonly int _threes;

    /// <param name="rows">Rows of x, above 0.</param>
    public ExpandedPasses(long rows)
    {
        _rows = (int)rows;
        _threes = (_rows / 3) - (_rows % 3 == 1 && _rows > 1 ? 1 : 0);
        Count = (_rows + 2) / 3;
    }

    /// <summary>Passes.</summary>
    public int Count { get; }

    /// <summary>First row and number of rows of a pass.</summary>
    public (int First, int Count) this[int pass]
    {
        get
        {
            int first = pass <= _threes ? 3 * pass : (3 * _threes) + (2 * (pass - _threes));
            return (first, pass < _threes ? 3 : Math.Min(2, _rows - first));
        }
    }

    /// <summary>Passes of the same number of rows from a pass on.</summary>
    public int OfSame(int pass) => pass < _threes ? _threes - pass : Count - pass;
}
