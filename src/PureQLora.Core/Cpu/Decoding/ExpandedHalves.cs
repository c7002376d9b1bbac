using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Rows of bfloat16, copied as they are.</summary>
internal readonly unsafe struct ExpandedHalves(ushort* w, int columns) : IExpandedRows
{
    private const int Lanes = 32;

    /// <inheritdoc/>
    public int Coding => 0;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Arrange(float* x, int count, int columns, byte* target)
    {
        float* rounded = stackalloc float[Lanes];
        int length = (columns + PackedRows.Block - 1) / PackedRows.Block * PackedRows.Block;
        for (int start = 0; start < length; start += Lanes)
        {
            int width = Math.Clamp(columns - start, 0, Lanes);
            for (int m = 0; m < count; m++, target += sizeof(Vector512<ushort>))
            {
                BFloat16Vectors.Round(x + ((long)m * columns) + start, rounded, width);
                new Span<float>(rounded + width, Lanes - width).Clear();
                BFloat16PackedKernels.Words(rounded).Store((ushort*)target);
            }
        }
    }

    /// <inheritdoc/>
    public long BufferLength(long rows, int blocks) => 0;

    /// <inheritdoc/>
    public void Prepare(long row, long rows, float* buffer, RowTileArguments* arguments)
    {
    }

    /// <inheritdoc/>
    public void Locate(in ExpandedPiece piece, int first, int perPass, byte* target, float* buffer, RowTileArguments* arguments) =>
        throw new NotSupportedException();

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Expand(in ExpandedPiece piece, byte* target, float* buffer, RowTileArguments* arguments)
    {
        int start = piece.Block * PackedRows.Block;
        int count = Math.Min(columns - start, piece.Blocks * PackedRows.Block);
        for (int r = 0; r < RowTileKernels.Rows; r++)
        {
            ushort* from = w + ((piece.Row + r) * columns) + start;
            ushort* to = (ushort*)target + (Lanes * r);
            int i = 0;
            for (; i <= count - Lanes; i += Lanes, to += RowTileKernels.Rows * Lanes)
            {
                Sse.Prefetch0(from + i + piece.Ahead);
                Vector512.Load(from + i).Store(to);
            }

            for (; i < piece.Blocks * PackedRows.Block; i += Lanes, to += RowTileKernels.Rows * Lanes)
            {
                Span<ushort> rest = new(to, Lanes);
                rest.Clear();
                new ReadOnlySpan<ushort>(from + i, Math.Clamp(count - i, 0, Lanes)).CopyTo(rest);
            }
        }
    }
}
