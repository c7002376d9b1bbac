using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>Root-mean-square normalisation; a group takes a row.</summary>
public static class RmsNormKernels
{
    /// <summary>y and rstd of one row a group.</summary>
    public static readonly Kernel<ForwardArguments> Forward = new(RunForward, groupSize: 256);

    /// <summary>dx of one row a group.</summary>
    public static readonly Kernel<InputGradientArguments> InputGradient = new(RunInputGradient, groupSize: 256);

    /// <summary>dWeight: a thread adds up a run of the rows of one column.</summary>
    public static readonly Kernel<WeightGradientArguments> WeightGradient = new(RunWeightGradient, groupSize: 64);

    private static void RunForward(ForwardArguments arguments)
    {
        ArrayView<float> y = arguments.Y;
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        int start = Grid.IdxX * arguments.Width;
        float squares = 0f;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            float x = arguments.X[start + i];
            squares += x * x;
        }

        float mean = GroupReduction.Sum(squares, scratch) / arguments.Width;
        float rstd = 1f / XMath.Sqrt(mean + arguments.Epsilon);
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            y[start + i] = arguments.Weight[i] * (arguments.X[start + i] * rstd);
        }

        if (Group.IdxX == 0)
        {
            ArrayView<float> kept = arguments.Rstd;
            kept[Grid.IdxX] = rstd;
        }
    }

    private static void RunInputGradient(InputGradientArguments arguments)
    {
        ArrayView<float> dx = arguments.Dx;
        ArrayView<float> scratch = SharedMemory.Allocate<float>(GroupReduction.ScratchLength);
        int start = Grid.IdxX * arguments.Width;
        float dot = 0f;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            dot += arguments.Dy[start + i] * arguments.Weight[i] * arguments.X[start + i];
        }

        float rstd = arguments.Rstd[Grid.IdxX];
        float share = GroupReduction.Sum(dot, scratch) / arguments.Width * rstd * rstd;
        for (int i = Group.IdxX; i < arguments.Width; i += Group.DimX)
        {
            dx[start + i] += rstd * ((arguments.Dy[start + i] * arguments.Weight[i]) - (arguments.X[start + i] * share));
        }
    }

    private static void RunWeightGradient(WeightGradientArguments arguments)
    {
        int thread = (Grid.IdxX * Group.DimX) + Group.IdxX;
        LongSums sums = arguments.Sums;
        if (thread < sums.Runs * sums.Count)
        {
            int run = thread / sums.Count;
            int column = thread - (run * sums.Count);
            double sum = 0;
            for (int row = run; row < arguments.Rstd.IntLength; row += sums.Runs)
            {
                int at = (row * sums.Count) + column;
                sum += arguments.Dy[at] * arguments.X[at] * arguments.Rstd[row];
            }

            sums.Store(run, column, sum);
        }
    }

    /// <summary>What <see cref="Forward"/> is given: rows of Width elements.</summary>
    public readonly record struct ForwardArguments(
        ArrayView<float> X, ArrayView<float> Weight, float Epsilon, int Width, ArrayView<float> Y, ArrayView<float> Rstd);

    /// <summary>What <see cref="InputGradient"/> is given; Dx is added to.</summary>
    public readonly record struct InputGradientArguments(
        ArrayView<float> Dy, ArrayView<float> X, ArrayView<float> Weight, ArrayView<float> Rstd, int Width, ArrayView<float> Dx);

    /// <summary>What <see cref="WeightGradient"/> is given; Sums are those of dWeight.</summary>
    public readonly record struct WeightGradientArguments(
        ArrayView<float> Dy, ArrayView<float> X, ArrayView<float> Rstd, LongSums Sums);
}
