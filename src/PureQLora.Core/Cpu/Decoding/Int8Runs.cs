namespace PureQLora.Core;

/// <summary>Columns by runs that share a group of the weight and a step of x: what is summed as integers.</summary>
internal readonly unsafe struct Int8Runs
{
    private readonly int* _runs;        // [count, 2]: column behind the last, group

    /// <summary>Finds the runs of a weight whose groups are consecutive columns.</summary>
    /// <param name="rows">The weight.</param>
    /// <param name="runs">Room for <see cref="Most"/> pairs.</param>
    public Int8Runs(in PackedRows rows, int* runs)
    {
        _runs = runs;
        Columns = rows.Columns;

        // Kernels cut a block into equal parts, of which two may share a group.
        int width = rows.HasWholeQuarters ? PackedRows.Block / rows.Parts : PackedRows.Block;
        for (int column = 0; column < rows.Columns; Count++)
        {
            int group = column / rows.GroupSize;
            long end = Math.Min((group + 1L) * rows.GroupSize, rows.Columns);
            column = (int)Math.Min(end, (column / width * width) + width);
            (runs[2 * Count], runs[(2 * Count) + 1]) = (column, group);
        }
    }

    /// <summary>Columns.</summary>
    public int Columns { get; }

    /// <summary>Runs.</summary>
    public int Count { get; }

    /// <summary>Column behind the last of a run.</summary>
    public int End(int run) => _runs[2 * run];

    /// <summary>Group of a run.</summary>
    public int Group(int run) => _runs[(2 * run) + 1];

    /// <summary>No weight has more runs.</summary>
    public static long Most(in PackedRows rows) => rows.Groups + (4L * rows.Blocks);
}
