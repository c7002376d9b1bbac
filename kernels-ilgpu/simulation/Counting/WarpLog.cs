namespace PureQLora.Kernels.Simulation.Counting;

/// <summary>
/// The accesses of a warp's lanes since they last met, put together into instructions of the warp: the n-th access of every lane at the same
/// place in the source counts as one.
/// </summary>
internal sealed class WarpLog
{
    private readonly Dictionary<AccessStream, Column> _columns = [];
    private readonly List<Column> _used = [];
    private Column?[] _recent = [];

    /// <summary>Notes an access.</summary>
    public void Add(int lane, in AccessStream stream, int offset)
    {
        // Most places in the source do one thing; those are found without hashing.
        if (stream.Site >= _recent.Length)
        {
            Array.Resize(ref _recent, Math.Max(stream.Site + 1, _recent.Length * 2));
        }

        ref Column? column = ref _recent[stream.Site];
        if (column is null || column.Stream != stream)
        {
            column = Find(stream);
        }

        if (column.Rows == 0)
        {
            _used.Add(column);
        }

        column.Add(lane, offset);
    }

    /// <summary>Counts what there is, and starts anew.</summary>
    public void Flush(LaunchCounters counters)
    {
        foreach (Column column in _used)
        {
            AccessCounters sum = default;
            for (int row = 0; row < column.Rows; row++)
            {
                sum += LaunchCounters.Count(column.Stream, column.Row(row));
            }

            counters.Add(column.Stream, sum);
            column.Clear();
        }

        _used.Clear();
    }

    private Column Find(in AccessStream stream)
    {
        if (!_columns.TryGetValue(stream, out Column? column))
        {
            column = new Column(stream);
            _columns.Add(stream, column);
        }

        return column;
    }

    private sealed class Column(AccessStream stream)
    {
        private readonly int[] _counts = new int[32];
        private int[] _offsets = new int[32];

        public AccessStream Stream { get; } = stream;

        public int Rows { get; private set; }

        /// <summary>Of every lane the byte that it accesses, -1 for lanes that do not.</summary>
        public ReadOnlySpan<int> Row(int row) => _offsets.AsSpan(row * 32, 32);

        public void Add(int lane, int offset)
        {
            int row = _counts[lane]++;
            if (row == Rows)
            {
                Rows++;
                if (_offsets.Length < Rows * 32)
                {
                    Array.Resize(ref _offsets, _offsets.Length * 2);
                }

                _offsets.AsSpan(row * 32, 32).Fill(-1);
            }

            _offsets[(row * 32) + lane] = offset;
        }

        public void Clear()
        {
            Array.Clear(_counts);
            Rows = 0;
        }
    }
}
