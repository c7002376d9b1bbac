using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// What all products on tensor cores share: a group of 256 threads makes a tile of 128 × 128 of the result, in steps of 32 along the inner
/// dimension. Warp (i, j) of 2 × 4 holds the rows 64i … 64i + 63 and the columns 32j … 32j + 31.
/// </summary>
/// <remarks>
/// A chunk is 16 bytes: eight bfloat16 numbers. Where a chunk lies in shared memory depends on its row, so that the eight rows that ldmatrix
/// reads at once, and the eight chunks that a quarter of a warp writes at once, lie in different banks.
/// </remarks>
public static class GemmTile
{
    /// <summary>Rows and columns of the tile of the result.</summary>
    public const int Size = 128;

    /// <summary>Numbers of a step along the inner dimension.</summary>
    public const int Depth = 32;

    /// <summary>Chunks of a row of a step.</summary>
    public const int RowChunks = Depth / 8;

    /// <summary>Chunks of one operand of a step.</summary>
    public const int Chunks = Size * RowChunks;

    /// <summary>Threads of a group.</summary>
    public const int Threads = 256;

    /// <summary>Chunks of a row of a right operand whose rows run along the inner dimension.</summary>
    private const int WideRowChunks = Size / 8;

    /// <summary>Place of a chunk in an operand of [128, 32].</summary>
    public static int Place(int row, int chunk) => (row * RowChunks) + (chunk ^ ((row >> 1) & 3));

    /// <summary>Place of a chunk in an operand of [32, 128].</summary>
    public static int WidePlace(int row, int chunk) => (row * WideRowChunks) + (chunk ^ (row & 7));

    /// <summary>Starts copying 128 rows of 32 numbers; a row past the end is a copy of the last one, whose results nobody stores.</summary>
    /// <param name="tile">Shared.</param>
    /// <param name="start">Where the operand starts in it.</param>
    /// <param name="source">[rows, pitch] in chunks.</param>
    /// <param name="pitch">Chunks of a row.</param>
    /// <param name="firstRow">Of the tile.</param>
    /// <param name="rows">Of the source.</param>
    /// <param name="step">Along the inner dimension.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Issue(ArrayView<Word4> tile, int start, ArrayView<Word4> source, int pitch, int firstRow, int rows, int step)
    {
        int row = Group.IdxX >> 2;
        int chunk = Group.IdxX & 3;
        int low = firstRow + row < rows ? firstRow + row : rows - 1;
        int high = firstRow + row + 64 < rows ? firstRow + row + 64 : rows - 1;
        int column = (step * RowChunks) + chunk;
        AsyncCopy.Issue(tile, start + Place(row, chunk), source, (low * pitch) + column);
        AsyncCopy.Issue(tile, start + Place(row + 64, chunk), source, (high * pitch) + column);
    }

    /// <summary>Starts copying 32 rows of 128 numbers; a chunk past the end of a row is a copy of the last one, whose results nobody stores.</summary>
    /// <param name="tile">Shared.</param>
    /// <param name="start">Where the operand starts in it.</param>
    /// <param name="source">[rows, pitch] in chunks; rows is a multiple of 32.</param>
    /// <param name="pitch">Chunks of a row.</param>
    /// <param name="firstChunk">Of the tile.</param>
    /// <param name="step">Along the inner dimension.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void IssueWide(ArrayView<Word4> tile, int start, ArrayView<Word4> source, int pitch, int firstChunk, int step)
    {
        int row = Group.IdxX >> 4;
        int chunk = Group.IdxX & 15;
        int column = firstChunk + chunk < pitch ? firstChunk + chunk : pitch - 1;
        int from = (((step * Depth) + row) * pitch) + column;
        AsyncCopy.Issue(tile, start + WidePlace(row, chunk), source, from);
        AsyncCopy.Issue(tile, start + WidePlace(row + 16, chunk), source, from + (16 * pitch));
    }

    /// <summary>Adds the product of a step: left [128, 32] times the transpose of right [128, 32].</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Accumulators MultiplyAdd(Accumulators sums, ArrayView<Word4> left, int leftStart, ArrayView<Word4> right, int rightStart)
    {
        int lane = Group.IdxX & 31;
        int column = (((Group.IdxX >> 5) & 3) * 32) + (lane & 7) + ((lane >> 4) << 3);
        int half = (lane >> 3) & 1;
        for (int step = 0; step < 2; step++)
        {
            Word4 b0 = TensorCore.LoadMatrices(right, rightStart + Place(column, (2 * step) + half));
            Word4 b1 = TensorCore.LoadMatrices(right, rightStart + Place(column + 16, (2 * step) + half));
            sums = MultiplyAdd(sums, left, leftStart, step, b0, b1);
        }

        return sums;
    }

    /// <summary>Adds the product of a step: left [128, 32] times right [32, 128].</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Accumulators MultiplyAddWide(Accumulators sums, ArrayView<Word4> left, int leftStart, ArrayView<Word4> right, int rightStart)
    {
        int lane = Group.IdxX & 31;
        int row = lane & 15;
        int chunk = (((Group.IdxX >> 5) & 3) * 4) + (lane >> 4);
        for (int step = 0; step < 2; step++)
        {
            Word4 b0 = TensorCore.LoadMatricesTransposed(right, rightStart + WidePlace((16 * step) + row, chunk));
            Word4 b1 = TensorCore.LoadMatricesTransposed(right, rightStart + WidePlace((16 * step) + row, chunk + 2));
            sums = MultiplyAdd(sums, left, leftStart, step, b0, b1);
        }

        return sums;
    }

    /// <summary>The thread's first row in the tile of the result: its rows are this one, 8, 16, … 56 further.</summary>
    public static int FirstRow() => ((Group.IdxX >> 7) * 64) + ((Group.IdxX & 31) >> 2);

    /// <summary>The thread's first column in the tile of the result: its columns are this one, 8, 16, 24 further, and the next of each.</summary>
    public static int FirstColumn() => (((Group.IdxX >> 5) & 3) * 32) + (2 * (Group.IdxX & 3));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Accumulators MultiplyAdd(Accumulators sums, ArrayView<Word4> left, int start, int step, Word4 b0, Word4 b1)
    {
        int lane = Group.IdxX & 31;
        int row = ((Group.IdxX >> 7) * 64) + (lane & 15);
        int chunk = (2 * step) + (lane >> 4);
        return new Accumulators(
            MultiplyAdd(sums.Rows0, TensorCore.LoadMatrices(left, start + Place(row, chunk)), b0, b1),
            MultiplyAdd(sums.Rows1, TensorCore.LoadMatrices(left, start + Place(row + 16, chunk)), b0, b1),
            MultiplyAdd(sums.Rows2, TensorCore.LoadMatrices(left, start + Place(row + 32, chunk)), b0, b1),
            MultiplyAdd(sums.Rows3, TensorCore.LoadMatrices(left, start + Place(row + 48, chunk)), b0, b1));
    }

    /// <summary>Adds the product of a [16, 16] and b [16, 32]: b0 has its columns 0 … 15, b1 the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowAccumulators MultiplyAdd(RowAccumulators sums, Word4 a, Word4 b0, Word4 b1) => new(
        TensorCore.MultiplyAdd(sums.Columns0, a, b0.X, b0.Y),
        TensorCore.MultiplyAdd(sums.Columns1, a, b0.Z, b0.W),
        TensorCore.MultiplyAdd(sums.Columns2, a, b1.X, b1.Y),
        TensorCore.MultiplyAdd(sums.Columns3, a, b1.Z, b1.W));
}
