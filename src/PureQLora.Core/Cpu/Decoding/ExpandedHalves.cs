using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Rows of bfloat16, copied as they are.</summary>
internal readonly unsafe struct ExpandedHalves(ushort* w, int columns) : IExpandedRows
{
    private const int Lanes = 32;

    /// <inheritdoc/>
    /// <remarks>Kernels read whole blocks; what lies behind the end of a row might not be a number, or belong to nobody.</remarks>
    public int Coding => columns % PackedRows.Block == 0 ? RowTileKernels.Coding(8 * sizeof(ushort), 1) : 0;

    /// <inheritdoc/>
    public void Arrange(float* x, int count, int columns, byte* target) => ArrangeInOrder(x, count, columns, target);

    /// <summary>Rounds rows of x and puts them side by side, vector by vector, their columns in order.</summary>
    /// <param name="x">[count, columns]</param>
    /// <param name="count">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="target">[blocks, 4 steps, count, 32], padded with zeros.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ArrangeInOrder(float* x, int count, int columns, byte* target)
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
    public void Locate(in ExpandedPiece piece, int first, int perPass, byte* target, float* buffer, RowTileArguments* arguments)
    {
        const long blockBytes = PackedRows.Block * sizeof(ushort);
        byte* rows = (byte*)(w + ((piece.Row + first) * columns)) + (piece.Block * blockBytes);
        arguments->SetRows(rows, (long)columns * sizeof(ushort), blockBytes, piece.Blocks, perPass, target + (first * RowTileKernels.VectorBytes));
        arguments->SetFactors((byte*)buffer, 0, 0, piece.Blocks, perPass);
        arguments->Ahead = piece.Ahead * sizeof(ushort);
    }

    /// <inheritdoc/>
    public void Expand(in ExpandedPiece piece, byte* target, float* buffer, RowTileArguments* arguments)
    {
        if (Coding == 0)
        {
            Copy(piece, target);
            return;
        }

        Locate(piece, 0, RowTileKernels.Rows, target, buffer, arguments);
        RowTileKernels.Expand(Coding, piece.Blocks, arguments);
    }

    private void Copy(in ExpandedPiece piece, byte* target)
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
