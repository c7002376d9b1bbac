using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>The optimiser and the norm of gradients. Adapters that lie in one block of memory are one tensor, and so one launch.</summary>
public static class AdamWKernels
{
    /// <summary>Elements whose squares one group adds up.</summary>
    public const int SumPiece = 4096;

    private const int SumThreads = 256;

    /// <summary>One update, one element a thread.</summary>
    public static readonly Kernel<StepArguments> Step = new(RunStep, groupSize: 256);

    /// <summary>Σ x² of <see cref="SumPiece"/> elements a group, in float64.</summary>
    public static readonly Kernel<SumOfSquaresArguments> SumOfSquares = new(RunSumOfSquares, SumThreads);

    private static void RunStep(StepArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i >= arguments.Count)
        {
            return;
        }

        (ArrayView<float> parameter, ArrayView<float> m, ArrayView<float> v) = (arguments.Parameter, arguments.M, arguments.V);
        AdamWFactors factors = arguments.Factors;
        float gradient = arguments.Grad[i] * factors.GradientScale;
        float first = m[i] + ((gradient - m[i]) * factors.FirstShare);
        float second = (v[i] * factors.Beta2) + (gradient * factors.SecondShare * gradient);
        m[i] = first;
        v[i] = second;
        float divisor = (XMath.Sqrt(second) / factors.RootCorrection) + factors.Epsilon;
        parameter[i] = (parameter[i] * factors.Decay) - (first * factors.Rate / divisor);
    }

    private static void RunSumOfSquares(SumOfSquaresArguments arguments)
    {
        ArrayView<double> ofThreads = SharedMemory.Allocate<double>(SumThreads);
        int thread = Group.IdxX;
        int start = Grid.IdxX * SumPiece;
        int end = arguments.Count - start < SumPiece ? arguments.Count : start + SumPiece;
        double sum = 0;
        for (int i = start + thread; i < end; i += SumThreads)
        {
            double x = arguments.X[i];
            sum += x * x;
        }

        ofThreads[thread] = sum;
        Group.Barrier();
        for (int half = SumThreads / 2; half > 0; half >>= 1)
        {
            if (thread < half)
            {
                ofThreads[thread] += ofThreads[thread + half];
            }

            Group.Barrier();
        }

        if (thread == 0)
        {
            ArrayView<double> sums = arguments.Sums;
            sums[Grid.IdxX] = ofThreads[0];
        }
    }

    /// <summary>What <see cref="Step"/> is given.</summary>
    public readonly record struct StepArguments(
        ArrayView<float> Parameter, ArrayView<float> Grad, ArrayView<float> M, ArrayView<float> V, int Count, AdamWFactors Factors);

    /// <summary>What <see cref="SumOfSquares"/> is given; Sums has an element for each group.</summary>
    public readonly record struct SumOfSquaresArguments(ArrayView<float> X, int Count, ArrayView<double> Sums);
}
