using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>
/// Causal attention in float32 throughout, for any head dimension up to <see cref="MaxHeadDim"/>: a group takes one query, or one key, and its
/// eight warps share out the other side, 32 at a time, one a lane. It is plain, and reads the other side once for every query or key; for a few
/// queries over a long cache, which fill no tile of the tensor cores, that is what there is to do, and all warps read at the same time.
/// </summary>
/// <remarks>
/// What the warps have is joined in their order, as Flash-Decoding joins parts of the keys: Dao, Haziza, Massa and Sizov, PyTorch blog, 2023.
/// </remarks>
public static class CausalAttentionVectorKernels
{
    /// <summary>Largest head dimension.</summary>
    public const int MaxHeadDim = 256;

    /// <summary>y and logSumExp of one row of a pair a group.</summary>
    public static readonly Kernel<ForwardArguments> Forward = new(RunForward, Threads);

    /// <summary>dq of one row of a pair a group.</summary>
    public static readonly Kernel<BackwardArguments> QueryGradient = new(RunQueryGradient, Threads);

    /// <summary>dk and dv of one key of a pair a group.</summary>
    public static readonly Kernel<BackwardArguments> KeyGradient = new(RunKeyGradient, Threads);

    /// <summary>logSumExp and rowsum(dy ∘ y) of one row of a pair a warp, in the order of the rows.</summary>
    public static readonly Kernel<StatisticsArguments> Statistics = new(RunStatistics, Threads);

    private const int Threads = 256;
    private const int Warps = Threads / 32;

    private static void RunForward(ForwardArguments arguments)
    {
        AttentionGeometry geometry = arguments.Geometry;
        ArrayView<float> q = SharedMemory.Allocate<float>(MaxHeadDim);
        ArrayView<float> sums = SharedMemory.Allocate<float>(Warps * MaxHeadDim);
        ArrayView<float> weights = SharedMemory.Allocate<float>(Threads);
        ArrayView<int> offsets = SharedMemory.Allocate<int>(Threads);
        ArrayView<float> maxima = SharedMemory.Allocate<float>(Warps);
        ArrayView<float> totals = SharedMemory.Allocate<float>(Warps);
        int pair = Grid.IdxX / geometry.Rows;
        int row = Grid.IdxX - (pair * geometry.Rows);
        Load(arguments.Q, geometry.RowOffset(pair, row), arguments.Scale, geometry.HeadDim, q);
        Clear(sums, geometry.HeadDim);
        Group.Barrier();

        int own = geometry.OwnKey(row);
        float maximum = float.NegativeInfinity;
        float total = 0f;
        for (int first = geometry.FirstKey(own) + ((Group.IdxX >> 5) * 32); first <= own; first += Threads)
        {
            int key = first + (Group.IdxX & 31);
            int offset = geometry.KeyOffset(pair, key);
            float score = float.NegativeInfinity;
            if (geometry.Sees(pair, own, key))
            {
                score = Dot(q, arguments.K, offset, geometry.HeadDim);
            }

            float next = WarpReduction.Larger(maximum, WarpReduction.Max(score));

            // While nothing has been seen the maximum is −∞; subtracting 0 instead makes the exponentials 0 and not NaN.
            float shift = next < float.MinValue ? 0f : next;
            float factor = XMath.Exp(maximum - shift);
            float weight = XMath.Exp(score - shift);
            maximum = next;
            total = (total * factor) + weight;
            weights[Group.IdxX] = weight;
            offsets[Group.IdxX] = offset;
            Combine(sums, factor, weights, offsets, own + 1 - first, arguments.V, geometry.HeadDim);
        }

        total = WarpReduction.Sum(total);
        if ((Group.IdxX & 31) == 0)
        {
            maxima[Group.IdxX >> 5] = maximum;
            totals[Group.IdxX >> 5] = total;
        }

        Group.Barrier();
        Join(arguments, pair, row, maxima, totals, sums);
    }

    /// <summary>Brings the sums of the warps to one maximum, and divides.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Join(ForwardArguments arguments, int pair, int row, ArrayView<float> maxima, ArrayView<float> totals, ArrayView<float> sums)
    {
        AttentionGeometry geometry = arguments.Geometry;
        ArrayView<float> y = arguments.Y;
        ArrayView<float> logSumExp = arguments.LogSumExp;
        float maximum = maxima[0];
        for (int warp = 1; warp < Warps; warp++)
        {
            maximum = WarpReduction.Larger(maximum, maxima[warp]);
        }

        float total = 0f;
        for (int warp = 0; warp < Warps; warp++)
        {
            total += totals[warp] * XMath.Exp(maxima[warp] - maximum);
        }

        int offset = geometry.RowOffset(pair, row);
        for (int d = Group.IdxX; d < geometry.HeadDim; d += Threads)
        {
            float sum = 0f;
            for (int warp = 0; warp < Warps; warp++)
            {
                sum += sums[(warp * MaxHeadDim) + d] * XMath.Exp(maxima[warp] - maximum);
            }

            y[offset + d] = sum / total;
        }

        if (Group.IdxX == 0)
        {
            logSumExp[geometry.StatisticOffset(pair, row)] = maximum + XMath.Log(total);
        }
    }

    private static void RunQueryGradient(BackwardArguments arguments)
    {
        AttentionGeometry geometry = arguments.Geometry;
        ArrayView<float> dq = arguments.First;
        ArrayView<float> q = SharedMemory.Allocate<float>(MaxHeadDim);
        ArrayView<float> dy = SharedMemory.Allocate<float>(MaxHeadDim);
        ArrayView<float> sums = SharedMemory.Allocate<float>(Warps * MaxHeadDim);
        ArrayView<float> weights = SharedMemory.Allocate<float>(Threads);
        ArrayView<int> offsets = SharedMemory.Allocate<int>(Threads);
        int pair = Grid.IdxX / geometry.Rows;
        int row = Grid.IdxX - (pair * geometry.Rows);
        int target = geometry.RowOffset(pair, row);
        Load(arguments.Q, target, arguments.Scale, geometry.HeadDim, q);
        Load(arguments.Dy, target, 1f, geometry.HeadDim, dy);
        Clear(sums, geometry.HeadDim);
        Group.Barrier();

        float logSumExp = arguments.LogSumExp[(pair * arguments.PaddedRows) + row];
        float delta = arguments.Delta[(pair * arguments.PaddedRows) + row];
        int own = geometry.OwnKey(row);
        for (int first = geometry.FirstKey(own) + ((Group.IdxX >> 5) * 32); first <= own; first += Threads)
        {
            int key = first + (Group.IdxX & 31);
            int offset = geometry.KeyOffset(pair, key);
            float ds = 0f;
            if (geometry.Sees(pair, own, key))
            {
                float p = XMath.Exp(Dot(q, arguments.K, offset, geometry.HeadDim) - logSumExp);
                ds = p * (Dot(dy, arguments.V, offset, geometry.HeadDim) - delta);
            }

            weights[Group.IdxX] = ds;
            offsets[Group.IdxX] = offset;
            Combine(sums, 1f, weights, offsets, own + 1 - first, arguments.K, geometry.HeadDim);
        }

        Group.Barrier();
        Store(sums, arguments.Scale, arguments.FirstMode, dq, target, geometry.HeadDim);
    }

    private static void RunKeyGradient(BackwardArguments arguments)
    {
        AttentionGeometry geometry = arguments.Geometry;
        ArrayView<float> dk = arguments.First;
        ArrayView<float> dv = arguments.Second;
        ArrayView<float> k = SharedMemory.Allocate<float>(MaxHeadDim);
        ArrayView<float> v = SharedMemory.Allocate<float>(MaxHeadDim);
        ArrayView<float> keySums = SharedMemory.Allocate<float>(Warps * MaxHeadDim);
        ArrayView<float> valueSums = SharedMemory.Allocate<float>(Warps * MaxHeadDim);
        ArrayView<float> keyWeights = SharedMemory.Allocate<float>(Threads);
        ArrayView<float> valueWeights = SharedMemory.Allocate<float>(Threads);
        ArrayView<int> offsets = SharedMemory.Allocate<int>(Threads);
        int pair = Grid.IdxX / geometry.KeyCount;
        int key = Grid.IdxX - (pair * geometry.KeyCount);
        int target = geometry.KeyOffset(pair, key);
        Load(arguments.K, target, arguments.Scale, geometry.HeadDim, k);
        Load(arguments.V, target, 1f, geometry.HeadDim, v);
        Clear(keySums, geometry.HeadDim);
        Clear(valueSums, geometry.HeadDim);
        Group.Barrier();

        int end = geometry.EndRow(key);
        for (int first = geometry.FirstRow(key) + ((Group.IdxX >> 5) * 32); first < end; first += Threads)
        {
            int row = first + (Group.IdxX & 31);
            int offset = geometry.RowOffset(pair, row);
            float p = 0f;
            float ds = 0f;
            if (row < end && geometry.Sees(pair, geometry.OwnKey(row), key))
            {
                int statistic = (pair * arguments.PaddedRows) + row;
                p = XMath.Exp(Dot(k, arguments.Q, offset, geometry.HeadDim) - arguments.LogSumExp[statistic]);
                ds = p * (Dot(v, arguments.Dy, offset, geometry.HeadDim) - arguments.Delta[statistic]);
            }

            keyWeights[Group.IdxX] = ds;
            valueWeights[Group.IdxX] = p;
            offsets[Group.IdxX] = offset;
            Combine(keySums, 1f, keyWeights, offsets, end - first, arguments.Q, geometry.HeadDim);
            Combine(valueSums, 1f, valueWeights, offsets, end - first, arguments.Dy, geometry.HeadDim);
        }

        Group.Barrier();
        Store(keySums, arguments.Scale, arguments.FirstMode, dk, target, geometry.HeadDim);
        Store(valueSums, 1f, arguments.SecondMode, dv, target, geometry.HeadDim);
    }

    private static void RunStatistics(StatisticsArguments arguments)
    {
        AttentionGeometry geometry = arguments.Geometry;
        ArrayView<float> logSumExp = arguments.LogSumExp;
        ArrayView<float> delta = arguments.Delta;
        int index = (Grid.IdxX * Warps) + (Group.IdxX >> 5);
        int pair = index / arguments.PaddedRows;
        int row = index - (pair * arguments.PaddedRows);

        // A row past the end gets probability 0 through a log-sum-exp of +∞.
        float statistic = float.PositiveInfinity;
        float dot = 0f;
        if (row < geometry.Rows)
        {
            int offset = geometry.RowOffset(pair, row);
            for (int d = Group.IdxX & 31; d < geometry.HeadDim; d += 32)
            {
                dot += arguments.Dy[offset + d] * arguments.Y[offset + d];
            }

            statistic = arguments.RowLogSumExp[geometry.StatisticOffset(pair, row)];
        }

        dot = WarpReduction.Sum(dot);
        if ((Group.IdxX & 31) == 0)
        {
            logSumExp[index] = statistic;
            delta[index] = dot;
        }
    }

    private static void Load(ArrayView<float> source, int offset, float factor, int headDim, ArrayView<float> destination)
    {
        for (int d = Group.IdxX; d < headDim; d += Threads)
        {
            destination[d] = factor * source[offset + d];
        }
    }

    /// <summary>Clears the warp's own sums; a lane's dimensions are the same ones throughout.</summary>
    private static void Clear(ArrayView<float> sums, int headDim)
    {
        int start = (Group.IdxX >> 5) * MaxHeadDim;
        for (int d = Group.IdxX & 31; d < headDim; d += 32)
        {
            sums[start + d] = 0f;
        }
    }

    private static float Dot(ArrayView<float> x, ArrayView<float> y, int offset, int headDim)
    {
        float sum = 0f;
        for (int d = 0; d < headDim; d++)
        {
            sum += x[d] * y[offset + d];
        }

        return sum;
    }

    /// <summary>sums = factor · sums + Σ weight · vector, over the first vectors of the warp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Combine(ArrayView<float> sums, float factor, ArrayView<float> weights, ArrayView<int> offsets, int count, ArrayView<float> vectors, int headDim)
    {
        int warp = Group.IdxX >> 5;
        int vectorCount = count < 32 ? count : 32;
        Warp.Barrier();
        for (int d = Group.IdxX & 31; d < headDim; d += 32)
        {
            float sum = factor * sums[(warp * MaxHeadDim) + d];
            for (int i = 0; i < vectorCount; i++)
            {
                sum += weights[(warp * 32) + i] * vectors[offsets[(warp * 32) + i] + d];
            }

            sums[(warp * MaxHeadDim) + d] = sum;
        }

        // The weights may be overwritten now.
        Warp.Barrier();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(ArrayView<float> sums, float factor, int mode, ArrayView<float> gradient, int offset, int headDim)
    {
        for (int d = Group.IdxX; mode != TargetMode.None && d < headDim; d += Threads)
        {
            float sum = 0f;
            for (int warp = 0; warp < Warps; warp++)
            {
                sum += sums[(warp * MaxHeadDim) + d];
            }

            float share = factor * sum;
            gradient[offset + d] = mode == TargetMode.Add ? gradient[offset + d] + share : share;
        }
    }

    /// <summary>What <see cref="Forward"/> is given.</summary>
    /// <param name="Geometry">Shapes and mask.</param>
    /// <param name="Scale">Multiplies the scores.</param>
    /// <param name="Q">[batch, seq, heads, headDim]</param>
    /// <param name="K">[batch, keys, kvHeads, headDim]</param>
    /// <param name="V">The shape of K.</param>
    /// <param name="Y">The shape of Q.</param>
    /// <param name="LogSumExp">[batch, heads, seq]</param>
    public readonly record struct ForwardArguments(
        AttentionGeometry Geometry,
        float Scale,
        ArrayView<float> Q,
        ArrayView<float> K,
        ArrayView<float> V,
        ArrayView<float> Y,
        ArrayView<float> LogSumExp);

    /// <summary>What the kernels of the gradients are given.</summary>
    /// <param name="Geometry">Shapes and mask.</param>
    /// <param name="Scale">Multiplies the scores.</param>
    /// <param name="Dy">[batch, seq, heads, headDim]</param>
    /// <param name="Q">The shape of Dy.</param>
    /// <param name="K">[batch, keys, kvHeads, headDim]</param>
    /// <param name="V">The shape of K.</param>
    /// <param name="LogSumExp">[pairs, PaddedRows]</param>
    /// <param name="Delta">[pairs, PaddedRows]</param>
    /// <param name="PaddedRows">Rows of a pair in the statistics.</param>
    /// <param name="First">dq or dk.</param>
    /// <param name="FirstMode">A <see cref="TargetMode"/>.</param>
    /// <param name="Second">dv, or a stand-in.</param>
    /// <param name="SecondMode">A <see cref="TargetMode"/>.</param>
    public readonly record struct BackwardArguments(
        AttentionGeometry Geometry,
        float Scale,
        ArrayView<float> Dy,
        ArrayView<float> Q,
        ArrayView<float> K,
        ArrayView<float> V,
        ArrayView<float> LogSumExp,
        ArrayView<float> Delta,
        int PaddedRows,
        ArrayView<float> First,
        int FirstMode,
        ArrayView<float> Second,
        int SecondMode);

    /// <summary>What <see cref="Statistics"/> is given; LogSumExp and Delta are [pairs, PaddedRows], PaddedRows a multiple of 8.</summary>
    public readonly record struct StatisticsArguments(
        AttentionGeometry Geometry,
        ArrayView<float> Dy,
        ArrayView<float> Y,
        ArrayView<float> RowLogSumExp,
        int PaddedRows,
        ArrayView<float> LogSumExp,
        ArrayView<float> Delta);
}
