using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// What products of few rows share. Decoding reads every weight for a handful of multiplications: nothing but memory counts, so a thread
/// keeps a sum for each row of x, and each number of a weight is fetched once.
/// </summary>
internal static class FewRows
{
    /// <summary>Rows of x up to which a product is one of few rows.</summary>
    public const int Most = 8;

    /// <summary>Threads of a group.</summary>
    public const int Threads = 256;

    /// <summary>Warps of a group.</summary>
    public const int Warps = Threads / 32;

    /// <summary>Adds the products of eight numbers of two rows of a weight with the same eight of every row of x.</summary>
    /// <param name="sums">So far.</param>
    /// <param name="first">Of the first row of the weight.</param>
    /// <param name="second">Of the second.</param>
    /// <param name="x">[rows, pitch], four numbers each.</param>
    /// <param name="low">The first four of row 0.</param>
    /// <param name="high">The last four of row 0.</param>
    /// <param name="pitch">Elements of a row of x.</param>
    /// <param name="rows">Rows of x; sums of further ones repeat the last.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowSums MultiplyAdd<TRows>(RowSums sums, EightCodes first, EightCodes second, ArrayView<Float4> x, int low, int high, int pitch, int rows)
        where TRows : struct, IRowCount => new(
            MultiplyAdd<TRows>(0, sums.Row0, first, second, x, low, high, pitch, rows),
            MultiplyAdd<TRows>(1, sums.Row1, first, second, x, low, high, pitch, rows),
            MultiplyAdd<TRows>(2, sums.Row2, first, second, x, low, high, pitch, rows),
            MultiplyAdd<TRows>(3, sums.Row3, first, second, x, low, high, pitch, rows),
            MultiplyAdd<TRows>(4, sums.Row4, first, second, x, low, high, pitch, rows),
            MultiplyAdd<TRows>(5, sums.Row5, first, second, x, low, high, pitch, rows),
            MultiplyAdd<TRows>(6, sums.Row6, first, second, x, low, high, pitch, rows),
            MultiplyAdd<TRows>(7, sums.Row7, first, second, x, low, high, pitch, rows));

    /// <summary>The sums of one row of x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SumPair Select(RowSums sums, int row)
    {
        SumPair a = row == 0 ? sums.Row0 : sums.Row1;
        SumPair b = row == 2 ? sums.Row2 : sums.Row3;
        SumPair c = row == 4 ? sums.Row4 : sums.Row5;
        SumPair d = row == 6 ? sums.Row6 : sums.Row7;
        SumPair low = row < 2 ? a : b;
        SumPair high = row < 6 ? c : d;
        return row < 4 ? low : high;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static SumPair MultiplyAdd<TRows>(int row, SumPair sums, EightCodes first, EightCodes second, ArrayView<Float4> x, int low, int high, int pitch, int rows)
        where TRows : struct, IRowCount
    {
        SumPair result = sums;
        if (row < TRows.Count)
        {
            int start = (row < rows ? row : rows - 1) * pitch;
            Float4 a = x[start + low];
            Float4 b = x[start + high];
            result = new SumPair(Dot(Dot(sums.First, first.Low, a), first.High, b), Dot(Dot(sums.Second, second.Low, a), second.High, b));
        }

        return result;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Dot(float sum, Float4 a, Float4 b)
    {
        sum += a.X * b.X;
        sum += a.Y * b.Y;
        sum += a.Z * b.Z;
        return sum + (a.W * b.W);
    }
}
