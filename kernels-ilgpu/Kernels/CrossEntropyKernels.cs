using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>Losses and gradients of a chunk of logits; a group takes a row. Slot s of the chunk is token Rows[Start + s].</summary>
public static class CrossEntropyKernels
{
    /// <summary>chunk = hidden rows, or hidden rows += chunk; one element a thread.</summary>
    public static readonly Kernel<RowsArguments> MoveRows = new(RunMoveRows, groupSize: 256);

    /// <summary>Log of the sum of exponentials, and the loss.</summary>
    public static readonly Kernel<LossArguments> Forward = new(RunForward, groupSize: 256);

    /// <summary>The loss, and logits become gradients.</summary>
    public static readonly Kernel<LossArguments> ForwardBackward = new(RunForwardBackward, groupSize: 256);

    /// <summary>Logits become gradients, from the kept log of the sum.</summary>
    public static readonly Kernel<LossArguments> Backward = new(RunBackward, groupSize: 256);

    private static void RunMoveRows(RowsArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i >= arguments.Count)
        {
            return;
        }

        int slot = i / arguments.Width;
        int at = (arguments.Rows[arguments.Start + slot] * arguments.Width) + i - (slot * arguments.Width);
        (ArrayView<float> hidden, ArrayView<float> chunk) = (arguments.Hidden, arguments.Chunk);
        if (arguments.IsScatter != 0)
        {
            hidden[at] += chunk[i];
        }
        else
        {
            chunk[i] = hidden[at];
        }
    }

    private static void RunForward(LossArguments arguments)
    {
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        float logSumExp = LogSumExp(arguments, scratch);
        if (Group.IdxX == 0)
        {
            ArrayView<float> kept = arguments.LogSumExp;
            kept[arguments.Start + Grid.IdxX] = logSumExp;
            StoreLoss(arguments, logSumExp);
        }
    }

    private static void RunForwardBackward(LossArguments arguments)
    {
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        float logSumExp = LogSumExp(arguments, scratch);
        if (Group.IdxX == 0)
        {
            StoreLoss(arguments, logSumExp);
        }

        Group.Barrier();
        StoreGradient(arguments, logSumExp, arguments.Scale);
    }

    private static void RunBackward(LossArguments arguments) => StoreGradient(
        arguments, arguments.LogSumExp[arguments.Start + Grid.IdxX], arguments.DLoss[0] * arguments.Scale);

    private static float LogSumExp(LossArguments arguments, ArrayView<float> scratch)
    {
        int start = Grid.IdxX * arguments.Width;
        float max = float.NegativeInfinity;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            max = WarpReduction.Larger(max, arguments.Logits[start + i]);
        }

        max = GroupReduction.Max(max, scratch);
        float sum = 0f;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            sum += XMath.Exp(arguments.Logits[start + i] - max);
        }

        return max + XMath.Log(GroupReduction.Sum(sum, scratch));
    }

    private static void StoreLoss(LossArguments arguments, float logSumExp)
    {
        int token = arguments.Rows[arguments.Start + Grid.IdxX];
        ArrayView<float> losses = arguments.Losses;
        losses[token] = logSumExp - arguments.Logits[(Grid.IdxX * arguments.Width) + arguments.Labels[token]];
    }

    private static void StoreGradient(LossArguments arguments, float logSumExp, float scale)
    {
        ArrayView<float> logits = arguments.Logits;
        int start = Grid.IdxX * arguments.Width;
        int label = arguments.Labels[arguments.Rows[arguments.Start + Grid.IdxX]];
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            float probability = XMath.Exp(logits[start + i] - logSumExp);
            logits[start + i] = (i == label ? probability - 1f : probability) * scale;
        }
    }

    /// <summary>What <see cref="MoveRows"/> is given: rows of Width elements, Count of them in all.</summary>
    public readonly record struct RowsArguments(
        ArrayView<float> Hidden, ArrayView<int> Rows, int Start, int Width, int Count, int IsScatter, ArrayView<float> Chunk);

    /// <summary>What the other kernels are given; views that one does not need are stand-ins.</summary>
    public readonly record struct LossArguments(
        ArrayView<float> Logits,
        int Width,
        ArrayView<int> Labels,
        ArrayView<int> Rows,
        int Start,
        ArrayView<float> LogSumExp,
        ArrayView<float> DLoss,
        float Scale,
        ArrayView<float> Losses);
}
