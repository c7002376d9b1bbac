using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>Divergences of a chunk of logits from a teacher's, and their gradients; a group takes a row.</summary>
public static class KullbackLeiblerKernels
{
    /// <summary>The divergence, and logits become gradients.</summary>
    public static readonly Kernel<Arguments> ForwardBackward = new(RunForwardBackward, groupSize: 256);

    private static void RunForwardBackward(Arguments arguments)
    {
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        (ArrayView<float> logits, ArrayView<float> targets) = (arguments.Logits, arguments.Targets);
        int start = Grid.IdxX * arguments.Width;
        float maxQ = Max(logits, start, arguments.Width, scratch);
        float logSumQ = LogSum(logits, start, arguments.Width, maxQ, scratch);
        float maxP = Max(targets, start, arguments.Width, scratch);
        float logSumP = LogSum(targets, start, arguments.Width, maxP, scratch);
        float divergence = 0f;
        for (int i = start + Group.IdxX; i < start + arguments.Width; i += Group.DimX)
        {
            // The maximum first, which may be large, then the logarithm of the sum, which is small.
            float logQ = logits[i] - maxQ - logSumQ;
            float logP = targets[i] - maxP - logSumP;
            float p = XMath.Exp(logP);
            divergence += p * (logP - logQ);
            logits[i] = (XMath.Exp(logQ) - p) * arguments.Scale;
        }

        divergence = GroupReduction.Sum(divergence, scratch);
        if (Group.IdxX == 0)
        {
            ArrayView<float> divergences = arguments.Divergences;
            divergences[arguments.Start + Grid.IdxX] = divergence;
        }
    }

    private static float Max(ArrayView<float> values, int start, int width, ArrayView<float> scratch)
    {
        float max = float.NegativeInfinity;
        for (int i = Group.IdxX; i < width; i += Group.DimX)
        {
            max = WarpReduction.Larger(max, values[start + i]);
        }

        return GroupReduction.Max(max, scratch);
    }

    /// <summary>ln Σ e^(value − max).</summary>
    private static float LogSum(ArrayView<float> values, int start, int width, float max, ArrayView<float> scratch)
    {
        float sum = 0f;
        for (int i = Group.IdxX; i < width; i += Group.DimX)
        {
            sum += XMath.Exp(values[start + i] - max);
        }

        return XMath.Log(GroupReduction.Sum(sum, scratch));
    }

    /// <summary>What <see cref="ForwardBackward"/> is given: rows of Width logits, of which the first is token Start.</summary>
    public readonly record struct Arguments(
        ArrayView<float> Logits, ArrayView<float> Targets, int Width, int Start, float Scale, ArrayView<float> Divergences);
}
