using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>
/// What happens to scores on their way to weights, in the registers of the tensor cores: a thread has an upper and a lower row, 8 apart, and
/// eight columns of each (<see cref="AttentionTile"/>).
/// </summary>
public static class AttentionWeights
{
    /// <summary>Rows are queries, columns keys: −∞ where a query does not see a key.</summary>
    /// <param name="geometry">The mask.</param>
    /// <param name="pair">Of batch entry and key-value head.</param>
    /// <param name="upperOwn">The upper query's own key.</param>
    /// <param name="lowerOwn">The lower query's own key.</param>
    /// <param name="tile">Of keys.</param>
    /// <param name="scores">[16, 32]</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowAccumulators MaskKeys(AttentionGeometry geometry, int pair, int upperOwn, int lowerOwn, int tile, RowAccumulators scores)
    {
        int key = tile * AttentionTile.RightRows;
        if (geometry.SegmentStride > 0 || upperOwn < key + AttentionTile.RightRows - 1 || lowerOwn - key >= geometry.Window)
        {
            key += AttentionTile.FirstColumn();
            scores = new RowAccumulators(
                MaskKeys(geometry, pair, upperOwn, lowerOwn, key, scores.Columns0),
                MaskKeys(geometry, pair, upperOwn, lowerOwn, key + 8, scores.Columns1),
                MaskKeys(geometry, pair, upperOwn, lowerOwn, key + 16, scores.Columns2),
                MaskKeys(geometry, pair, upperOwn, lowerOwn, key + 24, scores.Columns3));
        }

        return scores;
    }

    /// <summary>Rows are keys, columns queries: −∞ where a query does not see a key.</summary>
    /// <param name="geometry">The mask.</param>
    /// <param name="pair">Of batch entry and key-value head.</param>
    /// <param name="key">The upper key.</param>
    /// <param name="tile">Of rows.</param>
    /// <param name="scores">[16, 32]</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowAccumulators MaskRows(AttentionGeometry geometry, int pair, int key, int tile, RowAccumulators scores)
    {
        int row = tile * AttentionTile.RightRows;
        if (geometry.SegmentStride > 0 || geometry.OwnKey(row) < key + 8 || geometry.OwnKey(row + AttentionTile.RightRows - 1) - key >= geometry.Window)
        {
            row += AttentionTile.FirstColumn();
            scores = new RowAccumulators(
                MaskRows(geometry, pair, key, row, scores.Columns0),
                MaskRows(geometry, pair, key, row + 8, scores.Columns1),
                MaskRows(geometry, pair, key, row + 16, scores.Columns2),
                MaskRows(geometry, pair, key, row + 24, scores.Columns3));
        }

        return scores;
    }

    /// <summary>exp(score − shift of its row).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowAccumulators Exponentials(RowAccumulators scores, float upper, float lower) => new(
        Exponentials(scores.Columns0, upper, lower),
        Exponentials(scores.Columns1, upper, lower),
        Exponentials(scores.Columns2, upper, lower),
        Exponentials(scores.Columns3, upper, lower));

    /// <summary>exp(score − shift of its column).</summary>
    /// <param name="scores">[16, 32]</param>
    /// <param name="shifts">In global memory.</param>
    /// <param name="start">The shift of the thread's first column.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowAccumulators ColumnExponentials(RowAccumulators scores, ArrayView<float> shifts, int start) => new(
        ColumnExponentials(scores.Columns0, shifts, start),
        ColumnExponentials(scores.Columns1, shifts, start + 8),
        ColumnExponentials(scores.Columns2, shifts, start + 16),
        ColumnExponentials(scores.Columns3, shifts, start + 24));

    /// <summary>ds = p · (dp − delta of its row).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowAccumulators Differentiate(RowAccumulators p, RowAccumulators dp, float upper, float lower) => new(
        Differentiate(p.Columns0, dp.Columns0, upper, upper, lower, lower),
        Differentiate(p.Columns1, dp.Columns1, upper, upper, lower, lower),
        Differentiate(p.Columns2, dp.Columns2, upper, upper, lower, lower),
        Differentiate(p.Columns3, dp.Columns3, upper, upper, lower, lower));

    /// <summary>ds = p · (dp − delta of its column).</summary>
    /// <param name="p">[16, 32]</param>
    /// <param name="dp">[16, 32]</param>
    /// <param name="deltas">In global memory.</param>
    /// <param name="start">The delta of the thread's first column.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowAccumulators ColumnDifferentiate(RowAccumulators p, RowAccumulators dp, ArrayView<float> deltas, int start) => new(
        ColumnDifferentiate(p.Columns0, dp.Columns0, deltas, start),
        ColumnDifferentiate(p.Columns1, dp.Columns1, deltas, start + 8),
        ColumnDifferentiate(p.Columns2, dp.Columns2, deltas, start + 16),
        ColumnDifferentiate(p.Columns3, dp.Columns3, deltas, start + 24));

    /// <summary>Maximum of the upper row over the four threads that share it; NaN where there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float UpperMaximum(RowAccumulators scores) => QuadMaximum(WarpReduction.Larger(
        WarpReduction.Larger(WarpReduction.Larger(scores.Columns0.X, scores.Columns0.Y), WarpReduction.Larger(scores.Columns1.X, scores.Columns1.Y)),
        WarpReduction.Larger(WarpReduction.Larger(scores.Columns2.X, scores.Columns2.Y), WarpReduction.Larger(scores.Columns3.X, scores.Columns3.Y))));

    /// <summary>As <see cref="UpperMaximum"/>, of the lower row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LowerMaximum(RowAccumulators scores) => QuadMaximum(WarpReduction.Larger(
        WarpReduction.Larger(WarpReduction.Larger(scores.Columns0.Z, scores.Columns0.W), WarpReduction.Larger(scores.Columns1.Z, scores.Columns1.W)),
        WarpReduction.Larger(WarpReduction.Larger(scores.Columns2.Z, scores.Columns2.W), WarpReduction.Larger(scores.Columns3.Z, scores.Columns3.W))));

    /// <summary>The thread's share of the sum of the upper row.</summary>
    public static float UpperSum(RowAccumulators weights) =>
        (weights.Columns0.X + weights.Columns0.Y + weights.Columns1.X + weights.Columns1.Y)
        + (weights.Columns2.X + weights.Columns2.Y + weights.Columns3.X + weights.Columns3.Y);

    /// <summary>The thread's share of the sum of the lower row.</summary>
    public static float LowerSum(RowAccumulators weights) =>
        (weights.Columns0.Z + weights.Columns0.W + weights.Columns1.Z + weights.Columns1.W)
        + (weights.Columns2.Z + weights.Columns2.W + weights.Columns3.Z + weights.Columns3.W);

    /// <summary>Sum over the four threads that share a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float QuadSum(float value)
    {
        value += Warp.ShuffleXor(value, 2);
        return value + Warp.ShuffleXor(value, 1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float QuadMaximum(float value)
    {
        value = WarpReduction.Larger(value, Warp.ShuffleXor(value, 2));
        return WarpReduction.Larger(value, Warp.ShuffleXor(value, 1));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 MaskKeys(AttentionGeometry geometry, int pair, int upperOwn, int lowerOwn, int key, Float4 scores) => new(
        Mask(geometry, pair, upperOwn, key, scores.X),
        Mask(geometry, pair, upperOwn, key + 1, scores.Y),
        Mask(geometry, pair, lowerOwn, key, scores.Z),
        Mask(geometry, pair, lowerOwn, key + 1, scores.W));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 MaskRows(AttentionGeometry geometry, int pair, int key, int row, Float4 scores)
    {
        int own = geometry.OwnKey(row);
        int next = geometry.OwnKey(row + 1);
        return new Float4(
            Mask(geometry, pair, own, key, scores.X),
            Mask(geometry, pair, next, key, scores.Y),
            Mask(geometry, pair, own, key + 8, scores.Z),
            Mask(geometry, pair, next, key + 8, scores.W));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Mask(AttentionGeometry geometry, int pair, int own, int key, float score) =>
        geometry.Sees(pair, own, key) ? score : float.NegativeInfinity;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Exponentials(Float4 scores, float upper, float lower) => new(
        XMath.Exp(scores.X - upper), XMath.Exp(scores.Y - upper), XMath.Exp(scores.Z - lower), XMath.Exp(scores.W - lower));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 ColumnExponentials(Float4 scores, ArrayView<float> shifts, int start)
    {
        float even = shifts[start];
        float odd = shifts[start + 1];
        return new Float4(XMath.Exp(scores.X - even), XMath.Exp(scores.Y - odd), XMath.Exp(scores.Z - even), XMath.Exp(scores.W - odd));
    }

    private static Float4 Differentiate(Float4 p, Float4 dp, float x, float y, float z, float w) => new(
        p.X * (dp.X - x), p.Y * (dp.Y - y), p.Z * (dp.Z - z), p.W * (dp.W - w));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 ColumnDifferentiate(Float4 p, Float4 dp, ArrayView<float> deltas, int start)
    {
        float even = deltas[start];
        float odd = deltas[start + 1];
        return Differentiate(p, dp, even, odd, even, odd);
    }
}
