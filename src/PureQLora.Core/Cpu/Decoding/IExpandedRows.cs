namespace PureQLora.Core;

/// <summary>Rows of a weight as <see cref="RowTileKernels"/> read them: bfloat16, eight rows at a time, vector by vector.</summary>
internal unsafe interface IExpandedRows
{
    /// <summary>Number of the kind of packed codes that kernels expand themselves; 0 where there are none.</summary>
    int Coding { get; }

    /// <summary>Floats of working memory for a work item of so many rows, of which so many blocks are expanded at once.</summary>
    long BufferLength(long rows, int blocks);

    /// <summary>Fills working memory and arguments with what the calls of a work item share.</summary>
    /// <param name="row">Its first row.</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="buffer">Working memory.</param>
    /// <param name="arguments">Constants are set.</param>
    void Prepare(long row, long rows, float* buffer, RowTileArguments* arguments);

    /// <summary>Says where a kernel finds codes of the eight rows, with <see cref="Coding"/> above 0.</summary>
    /// <param name="piece">Where the columns lie.</param>
    /// <param name="first">The first of the rows, of eight.</param>
    /// <param name="perPass">How many are expanded in a pass.</param>
    /// <param name="target">[blocks, 4 steps, 8, 32]</param>
    /// <param name="buffer">Working memory.</param>
    /// <param name="arguments">Everything about an expansion is set but its number of blocks.</param>
    void Locate(in ExpandedPiece piece, int first, int perPass, byte* target, float* buffer, RowTileArguments* arguments);

    /// <summary>Writes columns of eight rows, padded with anything finite to whole blocks.</summary>
    /// <param name="piece">The columns.</param>
    /// <param name="target">[blocks, 4 steps, 8, 32]</param>
    /// <param name="buffer">Working memory.</param>
    /// <param name="arguments">What <see cref="Prepare"/> set.</param>
    void Expand(in ExpandedPiece piece, byte* target, float* buffer, RowTileArguments* arguments);

    /// <summary>Rounds rows of x and puts their columns into the same order, padded with zeros to whole blocks.</summary>
    /// <param name="x">[count, columns]</param>
    /// <param name="count">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="target">[blocks, 4 steps, count, 32]</param>
    void Arrange(float* x, int count, int columns, byte* target);
}
