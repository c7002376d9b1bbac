using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>Softmax and its logarithm; a group takes a row.</summary>
public static class SoftmaxKernels
{
    /// <summary>y = e^(x − max) / Σ.</summary>
    public static readonly Kernel<ForwardArguments> Forward = new(RunForward, groupSize: 128);

    /// <summary>y = x − max − ln Σ.</summary>
    public static readonly Kernel<ForwardArguments> LogForward = new(RunLogForward, groupSize: 128);

    /// <summary>dx += y · (dy − Σ dy·y).</summary>
    public static readonly Kernel<BackwardArguments> Backward = new(RunBackward, groupSize: 128);

    /// <summary>dx += dy − e^y · Σ dy.</summary>
    public static readonly Kernel<BackwardArguments> LogBackward = new(RunLogBackward, groupSize: 128);

    private static void RunForward(ForwardArguments arguments)
    {
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        ArrayView<float> y = arguments.Y;
        int start = Grid.IdxX * arguments.Width;
        float max = RowMax(arguments, scratch);
        float sum = RowSum(arguments, max, scratch);
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            // A row of −∞ alone has no sum, and probabilities of 0.
            y[start + i] = max == float.NegativeInfinity ? 0f : XMath.Exp(arguments.X[start + i] - max) / sum;
        }
    }

    private static void RunLogForward(ForwardArguments arguments)
    {
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        ArrayView<float> y = arguments.Y;
        int start = Grid.IdxX * arguments.Width;
        float max = RowMax(arguments, scratch);
        float log = XMath.Log(RowSum(arguments, max, scratch));
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            y[start + i] = max == float.NegativeInfinity ? max : arguments.X[start + i] - max - log;
        }
    }

    private static void RunBackward(BackwardArguments arguments)
    {
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        ArrayView<float> dx = arguments.Dx;
        int start = Grid.IdxX * arguments.Width;
        float dot = 0f;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            dot += arguments.Dy[start + i] * arguments.Y[start + i];
        }

        dot = GroupReduction.Sum(dot, scratch);
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            dx[start + i] += arguments.Y[start + i] * (arguments.Dy[start + i] - dot);
        }
    }

    private static void RunLogBackward(BackwardArguments arguments)
    {
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        ArrayView<float> dx = arguments.Dx;
        int start = Grid.IdxX * arguments.Width;
        float sum = 0f;
        float masked = 0f;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            sum += arguments.Dy[start + i];
            masked += arguments.Y[start + i] == float.NegativeInfinity ? 1f : 0f;
        }

        sum = GroupReduction.Sum(sum, scratch);
        masked = GroupReduction.Sum(masked, scratch);
        if (masked != arguments.Width)
        {
            for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
            {
                dx[start + i] += arguments.Dy[start + i] - (XMath.Exp(arguments.Y[start + i]) * sum);
            }
        }
    }

    private static float RowMax(ForwardArguments arguments, ArrayView<float> scratch)
    {
        int start = Grid.IdxX * arguments.Width;
        float max = float.NegativeInfinity;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            // NaN passes through, so that a row that has one becomes NaN.
            max = WarpReduction.Larger(max, arguments.X[start + i]);
        }

        return GroupReduction.Max(max, scratch);
    }

    private static float RowSum(ForwardArguments arguments, float max, ArrayView<float> scratch)
    {
        int start = Grid.IdxX * arguments.Width;
        float sum = 0f;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            sum += XMath.Exp(arguments.X[start + i] - max);
        }

        return GroupReduction.Sum(sum, scratch);
    }

    /// <summary>What the forward kernels are given: rows of Width elements.</summary>
    public readonly record struct ForwardArguments(ArrayView<float> X, int Width, ArrayView<float> Y);

    /// <summary>What the backward kernels are given.</summary>
    public readonly record struct BackwardArguments(ArrayView<float> Dy, ArrayView<float> Y, int Width, ArrayView<float> Dx);
}
