using System.Runtime.InteropServices;
using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : ICrossEntropyKernels
{
    private int[] _supervised = [];

    /// <inheritdoc/>
    public long CrossEntropyRows(Tensor labels, int vocabulary, Tensor rows)
    {
        ArgumentNullException.ThrowIfNull(labels);
        ArgumentNullException.ThrowIfNull(rows);
        ReadOnlySpan<int> values = ReadInts(labels);
        if (_supervised.Length < values.Length)
        {
            _supervised = new int[values.Length];
        }

        int count = 0;
        for (int token = 0; token < values.Length; token++)
        {
            int label = values[token];
            if (label == CrossEntropy.Ignored)
            {
                continue;
            }

            if (label < 0 || label >= vocabulary)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(labels), label, $"The label of token {token} is outside the vocabulary, allowed 0–{vocabulary - 1} or {CrossEntropy.Ignored} for none.");
            }

            _supervised[count++] = token;
        }

        Memory(rows).Write(rows.ByteOffset, MemoryMarshal.AsBytes(_supervised.AsSpan(0, count)));
        return count;
    }

    /// <inheritdoc/>
    public void CrossEntropyGather(Tensor hidden, Tensor rows, long start, Tensor chunk) => MoveRows(hidden, rows, start, chunk, scatter: false);

    /// <inheritdoc/>
    public void CrossEntropyScatter(Tensor chunk, Tensor rows, long start, Tensor dHidden) => MoveRows(dHidden, rows, start, chunk, scatter: true);

    /// <inheritdoc/>
    public void CrossEntropyForward(Tensor logits, Tensor labels, Tensor rows, long start, Tensor logSumExp, Tensor losses) =>
        LaunchLoss(CrossEntropyKernels.Forward, logits, labels, rows, start, logSumExp, null, 1f, losses);

    /// <inheritdoc/>
    public void CrossEntropyForwardBackward(Tensor logits, Tensor labels, Tensor rows, long start, float normalizer, Tensor losses) =>
        LaunchLoss(CrossEntropyKernels.ForwardBackward, logits, labels, rows, start, null, null, 1f / normalizer, losses);

    /// <inheritdoc/>
    public void CrossEntropySum(Tensor losses, float normalizer, Tensor loss)
    {
        ArgumentNullException.ThrowIfNull(losses);
        ArgumentNullException.ThrowIfNull(loss);
        int count = Count(losses);
        _device.Launch(
            ReductionKernels.Sum, new LaunchShape(1), new ReductionKernels.SumArguments(Floats(losses), count, count, 1, 1.0 / normalizer, Floats(loss)));
    }

    /// <inheritdoc/>
    public void CrossEntropyBackward(Tensor logits, Tensor labels, Tensor rows, long start, Tensor logSumExp, Tensor dLoss, float normalizer) =>
        LaunchLoss(CrossEntropyKernels.Backward, logits, labels, rows, start, logSumExp, dLoss, 1f / normalizer, null);

    private void MoveRows(Tensor hidden, Tensor rows, long start, Tensor chunk, bool scatter)
    {
        _ = Count(hidden);
        int count = Count(chunk);
        if (count > 0)
        {
            _device.Launch(
                CrossEntropyKernels.MoveRows,
                LaunchShape.For(count, CrossEntropyKernels.MoveRows.GroupSize),
                new CrossEntropyKernels.RowsArguments(
                    Floats(hidden), Ints(rows), (int)start, (int)chunk.Shape.Columns, count, scatter ? 1 : 0, Floats(chunk)));
        }
    }

    private void LaunchLoss(
        Kernel<CrossEntropyKernels.LossArguments> kernel,
        Tensor logits,
        Tensor labels,
        Tensor rows,
        long start,
        Tensor? logSumExp,
        Tensor? dLoss,
        float scale,
        Tensor? losses)
    {
        if (Count(logits) > 0)
        {
            ArrayView<float> standIn = _workspace.View<float>(0, 1);
            _device.Launch(
                kernel,
                new LaunchShape((int)logits.Shape.Rows),
                new CrossEntropyKernels.LossArguments(
                    Floats(logits),
                    (int)logits.Shape.Columns,
                    Ints(labels),
                    Ints(rows),
                    (int)start,
                    logSumExp is null ? standIn : Floats(logSumExp),
                    dLoss is null ? standIn : Floats(dLoss),
                    scale,
                    losses is null ? standIn : Floats(losses)));
        }
    }
}
