namespace PureQLora.Core;

/// <summary>Rows of any storage, by way of float32: widths and groups of codes that have no kernel of their own.</summary>
internal readonly unsafe struct ExpandedFloats(MatrixSource source, int columns) : IExpandedRows
{
    private readonly MatrixSource _source = source;

    /// <inheritdoc/>
    public int Coding => 0;

    /// <inheritdoc/>
    public void Arrange(float* x, int count, int columns, byte* target) => BFloat16PackedKernels.Arrange(x, columns, count, columns, 0, target);

    /// <inheritdoc/>
    public long BufferLength(long rows, int blocks) => (long)RowTileKernels.Rows * blocks * PackedRows.Block;

    /// <inheritdoc/>
    public void Prepare(long row, long rows, float* buffer, RowTileArguments* arguments)
    {
    }

    /// <inheritdoc/>
    public void Locate(in ExpandedPiece piece, int first, int perPass, byte* target, float* buffer, RowTileArguments* arguments) =>
        throw new NotSupportedException();

    /// <inheritdoc/>
    public void Expand(in ExpandedPiece piece, byte* target, float* buffer, RowTileArguments* arguments)
    {
        int start = piece.Block * PackedRows.Block;
        int count = Math.Min(columns - start, piece.Blocks * PackedRows.Block);
        for (int r = 0; r < RowTileKernels.Rows; r++)
        {
            float* floats = buffer + ((long)r * count);
            float* values = _source.Row(piece.Row + r, start, count, floats);
            if (values != floats)
            {
                Buffer.MemoryCopy(values, floats, count * sizeof(float), count * sizeof(float));
            }
        }

        BFloat16PackedKernels.Arrange(buffer, count, RowTileKernels.Rows, count, 0, target);
    }
}
