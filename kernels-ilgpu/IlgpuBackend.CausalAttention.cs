using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : ICausalAttentionKernels
{
    /// <summary>Queries of a pair of batch entry and key-value head up to which a pass only reads memory, in float32.</summary>
    private const int AttentionDecodeRows = 8;

    /// <inheritdoc/>
    public void CausalAttentionForward(Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale, Tensor y, Tensor logSumExp, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(q);
        ArgumentNullException.ThrowIfNull(k);
        CheckPrecision(precision);
        AttentionGeometry geometry = Geometry(q, k, mask);
        int pairs = Pairs(q, k);
        if (pairs * geometry.Rows == 0)
        {
            return;
        }

        if (Rounds(geometry, precision))
        {
            AttentionOperands operands = PackAttention(geometry, pairs, scale, q, k, v, null);
            CausalAttentionKernels.TileArguments arguments = Arguments(operands, geometry, scale, pairs);
            Kernel<CausalAttentionKernels.TileArguments> kernel = operands.IsSmall ? CausalAttentionKernels.Forward64 : CausalAttentionKernels.Forward128;
            LaunchTiles(kernel, pairs, operands.Rows, arguments with { LogSumExp = Floats(logSumExp), Target = Floats(y), Mode = TargetMode.Write });
            return;
        }

        _device.Launch(
            CausalAttentionVectorKernels.Forward,
            new LaunchShape(pairs * geometry.Rows),
            new CausalAttentionVectorKernels.ForwardArguments(geometry, scale, Floats(q), Floats(k), Floats(v), Floats(y), Floats(logSumExp)));
    }

    /// <inheritdoc/>
    public void CausalAttentionBackward(
        Tensor dy, Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale, Tensor y, Tensor logSumExp, GradientTarget dq, Tensor? dk, Tensor? dv, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(q);
        ArgumentNullException.ThrowIfNull(k);
        CheckPrecision(precision);
        AttentionGeometry geometry = Geometry(q, k, mask);
        int pairs = Pairs(q, k);
        if (pairs * geometry.Rows == 0)
        {
            return;
        }

        GradientViews gradients = new(
            Target(dq, Floats(q)), Target(new GradientTarget(dk, Accumulate: true), Floats(k)), Target(new GradientTarget(dv, Accumulate: true), Floats(v)));
        if (Rounds(geometry, precision))
        {
            AttentionOperands operands = PackAttention(geometry, pairs, scale, q, k, v, dy);
            (ArrayView<float> rowLogSumExp, ArrayView<float> delta) = Statistics(geometry, pairs, operands.Rows, dy, y, logSumExp);
            BackwardTiles(operands, pairs, Arguments(operands, geometry, scale, pairs) with { LogSumExp = rowLogSumExp, Delta = delta }, gradients);
        }
        else
        {
            int paddedRows = (geometry.Rows + 7) / 8 * 8;
            BeginOperands(StatisticsBytes(pairs, paddedRows));
            (ArrayView<float> rowLogSumExp, ArrayView<float> delta) = Statistics(geometry, pairs, paddedRows, dy, y, logSumExp);
            BackwardVectors(
                pairs,
                new(geometry, scale, Floats(dy), Floats(q), Floats(k), Floats(v), rowLogSumExp, delta, paddedRows, gradients.Query.View, gradients.Query.Mode, gradients.Query.View, TargetMode.None),
                gradients);
        }
    }

    /// <summary>Whether tensor cores do it; larger heads do not fit into their registers.</summary>
    private static bool Rounds(AttentionGeometry geometry, Precision precision) =>
        precision == Precision.BFloat16 && geometry.Rows > AttentionDecodeRows && geometry.HeadDim <= Head128.Size;

    private void BackwardVectors(int pairs, CausalAttentionVectorKernels.BackwardArguments arguments, GradientViews gradients)
    {
        if (gradients.Query.Mode != TargetMode.None)
        {
            _device.Launch(CausalAttentionVectorKernels.QueryGradient, new LaunchShape(pairs * arguments.Geometry.Rows), arguments);
        }

        if (gradients.Key.Mode != TargetMode.None || gradients.Value.Mode != TargetMode.None)
        {
            _device.Launch(
                CausalAttentionVectorKernels.KeyGradient,
                new LaunchShape(pairs * arguments.Geometry.KeyCount),
                arguments with { First = gradients.Key.View, FirstMode = gradients.Key.Mode, Second = gradients.Value.View, SecondMode = gradients.Value.Mode });
        }
    }

    private void BackwardTiles(AttentionOperands operands, int pairs, CausalAttentionKernels.TileArguments arguments, GradientViews gradients)
    {
        bool small = operands.IsSmall;
        if (gradients.Query.Mode != TargetMode.None)
        {
            LaunchTiles(
                small ? CausalAttentionKernels.QueryGradient64 : CausalAttentionKernels.QueryGradient128,
                pairs, operands.Rows, arguments with { Target = gradients.Query.View, Mode = gradients.Query.Mode });
        }

        if (gradients.Key.Mode != TargetMode.None)
        {
            LaunchTiles(
                small ? CausalAttentionKernels.KeyGradient64 : CausalAttentionKernels.KeyGradient128,
                pairs, operands.Keys, arguments with { Target = gradients.Key.View, Mode = gradients.Key.Mode });
        }

        if (gradients.Value.Mode != TargetMode.None)
        {
            LaunchTiles(
                small ? CausalAttentionKernels.ValueGradient64 : CausalAttentionKernels.ValueGradient128,
                pairs, operands.Keys, arguments with { Target = gradients.Value.View, Mode = gradients.Value.Mode });
        }
    }

    /// <summary>One group for each 64 rows of each pair.</summary>
    private void LaunchTiles(
        Kernel<CausalAttentionKernels.TileArguments> kernel, int pairs, int rows, CausalAttentionKernels.TileArguments arguments) =>
        _device.Launch(kernel, new LaunchShape(checked(pairs * (rows / AttentionTile.LeftRows))), arguments);

    private static CausalAttentionKernels.TileArguments Arguments(AttentionOperands operands, AttentionGeometry geometry, float scale, int pairs) => new(
        geometry, scale, pairs, operands.Q, operands.K, operands.V, operands.Dy, operands.Rows, operands.Keys, operands.StandIn, operands.StandIn, operands.StandIn, TargetMode.None);

    /// <summary>Queries times scale, keys, values and, if there are any, gradients in the workspace, with room for the statistics behind them.</summary>
    private AttentionOperands PackAttention(AttentionGeometry geometry, int pairs, float scale, Tensor q, Tensor k, Tensor v, Tensor? dy)
    {
        int size = geometry.HeadDim <= Head64.Size ? Head64.Size : Head128.Size;
        int rows = (geometry.Rows + AttentionTile.LeftRows - 1) / AttentionTile.LeftRows * AttentionTile.LeftRows;
        int keys = (geometry.KeyCount + AttentionTile.LeftRows - 1) / AttentionTile.LeftRows * AttentionTile.LeftRows;
        long rowBytes = (long)size * sizeof(ushort) * pairs;
        BeginOperands(((((dy is null ? 1 : 2) * (long)rows) + (2L * keys)) * rowBytes) + StatisticsBytes(pairs, rows));
        ArrayView<Word4> queries = PackHeads(geometry, pairs, q, false, scale, rows, size);
        return new AttentionOperands(
            queries,
            PackHeads(geometry, pairs, k, true, 1f, keys, size),
            PackHeads(geometry, pairs, v, true, 1f, keys, size),
            dy is null ? queries : PackHeads(geometry, pairs, dy, false, 1f, rows, size),
            rows,
            keys,
            size == Head64.Size,
            Floats(q));
    }

    private ArrayView<Word4> PackHeads(AttentionGeometry geometry, int pairs, Tensor x, bool isKey, float factor, int paddedRows, int size)
    {
        int words = checked(pairs * paddedRows * (size / 2));
        ArrayView<uint> y = _workspace.View<uint>(_workspaceUsed, words);
        ArrayView<Word4> chunks = _workspace.View<Word4>(_workspaceUsed, words / 4);
        _workspaceUsed += (long)words * sizeof(uint);
        _device.Launch(
            CausalAttentionKernels.Pack,
            LaunchShape.For(words, CausalAttentionKernels.Pack.GroupSize),
            new CausalAttentionKernels.PackArguments(geometry, Floats(x), isKey ? 1 : 0, factor, pairs, paddedRows, size / 2, y));
        return chunks;
    }

    private static int Pairs(Tensor q, Tensor k) => checked((int)(q.Shape[0] * k.Shape[2]));

    private static long StatisticsBytes(int pairs, int paddedRows) => 2L * pairs * paddedRows * sizeof(float);

    private static AttentionGeometry Geometry(Tensor q, Tensor k, AttentionMask mask)
    {
        (_, _) = (Count(q), Count(k));
        int headDim = (int)q.Shape[3];
        if (headDim > CausalAttentionVectorKernels.MaxHeadDim)
        {
            throw new ArgumentException($"A head has {headDim} dimensions, a GPU allows 1–{CausalAttentionVectorKernels.MaxHeadDim}; use --device cpu.", nameof(q));
        }

        int keyCount = (int)(mask.KeyCount ?? k.Shape[1]);
        return new AttentionGeometry(
            (int)k.Shape[2],
            (int)(q.Shape[2] / k.Shape[2]),
            (int)q.Shape[1],
            keyCount,
            (int)k.Shape[1],
            headDim,
            Math.Min(mask.Window ?? keyCount, keyCount),
            mask.Segments is null ? Memory(q).View<int>(q.ByteOffset, Math.Min(1, Count(q))) : Ints(mask.Segments),
            mask.Segments is null ? 0 : (int)mask.Segments.Shape[1]);
    }

    /// <summary>logSumExp and rowsum(dy ∘ y) in the order of the rows, at the end of the operands so far.</summary>
    private (ArrayView<float> LogSumExp, ArrayView<float> Delta) Statistics(
        AttentionGeometry geometry, int pairs, int paddedRows, Tensor dy, Tensor y, Tensor logSumExp)
    {
        long count = (long)pairs * paddedRows;
        ArrayView<float> statistics = _workspace.View<float>(_workspaceUsed, count);
        ArrayView<float> delta = _workspace.View<float>(_workspaceUsed + (count * sizeof(float)), count);
        _workspaceUsed += StatisticsBytes(pairs, paddedRows);
        _device.Launch(
            CausalAttentionVectorKernels.Statistics,
            LaunchShape.For(count * 32, CausalAttentionVectorKernels.Statistics.GroupSize),
            new CausalAttentionVectorKernels.StatisticsArguments(geometry, Floats(dy), Floats(y), Floats(logSumExp), paddedRows, statistics, delta));
        return (statistics, delta);
    }

    /// <summary>What tensor cores multiply.</summary>
    /// <param name="Q">[pairs, Rows] heads, times scale.</param>
    /// <param name="K">[pairs, Keys] heads.</param>
    /// <param name="V">[pairs, Keys] heads.</param>
    /// <param name="Dy">[pairs, Rows] heads, or a stand-in.</param>
    /// <param name="Rows">Rows of a pair, padded.</param>
    /// <param name="Keys">Keys of a pair, padded.</param>
    /// <param name="IsSmall">Heads are padded to 64 numbers, not to 128.</param>
    /// <param name="StandIn">For what an operation does not have.</param>
    private readonly record struct AttentionOperands(
        ArrayView<Word4> Q, ArrayView<Word4> K, ArrayView<Word4> V, ArrayView<Word4> Dy, int Rows, int Keys, bool IsSmall, ArrayView<float> StandIn);

    /// <summary>Where the gradients go.</summary>
    private readonly record struct GradientViews(
        (int Mode, ArrayView<float> View) Query, (int Mode, ArrayView<float> View) Key, (int Mode, ArrayView<float> View) Value);
}
