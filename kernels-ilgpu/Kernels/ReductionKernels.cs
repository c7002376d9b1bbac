using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>Sums and maxima along an axis of [outer, Extent, Inner].</summary>
public static class ReductionKernels
{
    private const int SumThreads = 64;

    /// <summary>y = scale · Σ x in float64, one result a group.</summary>
    public static readonly Kernel<SumArguments> Sum = new(RunSum, SumThreads);

    /// <summary>dx += scale · dy, one element of dx a thread.</summary>
    public static readonly Kernel<SumArguments> SumGradient = new(RunSumGradient, groupSize: 256);

    /// <summary>What the runs of long sums made becomes fewer runs, one of these a thread.</summary>
    public static readonly Kernel<FoldArguments> Fold = new(RunFold, groupSize: 64);

    /// <summary>y = max x and where it was first found, one result a thread.</summary>
    public static readonly Kernel<MaxArguments> Max = new(RunMax, groupSize: 64);

    /// <summary>dx at the index += dy, one index a thread.</summary>
    public static readonly Kernel<MaxArguments> MaxGradient = new(RunMaxGradient, groupSize: 256);

    private static void RunSum(SumArguments arguments)
    {
        ArrayView<double> sums = SharedMemory.Allocate<double>(SumThreads);
        int outer = Grid.IdxX / arguments.Inner;
        int start = (outer * arguments.Extent * arguments.Inner) + Grid.IdxX - (outer * arguments.Inner);
        int thread = Group.IdxX;
        double sum = 0;
        for (int i = thread; i < arguments.Extent; i += SumThreads)
        {
            sum += arguments.X[start + (i * arguments.Inner)];
        }

        sums[thread] = sum;
        Group.Barrier();
        for (int half = SumThreads / 2; half > 0; half >>= 1)
        {
            if (thread < half)
            {
                sums[thread] += sums[thread + half];
            }

            Group.Barrier();
        }

        if (thread == 0)
        {
            ArrayView<float> y = arguments.Y;
            y[Grid.IdxX] = (float)(arguments.Scale * sums[0]);
        }
    }

    private static void RunSumGradient(SumArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            int outer = i / (arguments.Extent * arguments.Inner);
            ArrayView<float> dx = arguments.X;
            dx[i] += (float)(arguments.Scale * arguments.Y[(outer * arguments.Inner) + (i % arguments.Inner)]);
        }
    }

    private static void RunFold(FoldArguments arguments)
    {
        int thread = (Grid.IdxX * Group.DimX) + Group.IdxX;
        LongSums sums = arguments.Sums;
        if (thread >= sums.Runs * sums.Count)
        {
            return;
        }

        // Both lie in the same memory: the element that a thread writes is the first that it reads, and no other thread reads it.
        int run = thread / sums.Count;
        int index = thread - (run * sums.Count);
        double sum = 0;
        for (int term = run; term < arguments.Terms; term += sums.Runs)
        {
            sum += sums.OfRuns[(term * sums.Count) + index];
        }

        sums.Store(run, index, sum);
    }

    private static void RunMax(MaxArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i >= arguments.Count)
        {
            return;
        }

        int outer = i / arguments.Inner;
        int start = (outer * arguments.Extent * arguments.Inner) + i - (outer * arguments.Inner);
        float max = arguments.X[start];
        int place = 0;
        for (int k = 1; k < arguments.Extent; k++)
        {
            // NaN counts as the largest, the first one of all.
            float x = arguments.X[start + (k * arguments.Inner)];
            bool larger = x > max || (XMath.IsNaN(x) && !XMath.IsNaN(max));
            max = larger ? x : max;
            place = larger ? k : place;
        }

        (ArrayView<float> y, ArrayView<int> indices) = (arguments.Y, arguments.Indices);
        y[i] = max;
        indices[i] = place;
    }

    private static void RunMaxGradient(MaxArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            int outer = i / arguments.Inner;
            ArrayView<float> dx = arguments.X;
            dx[(((outer * arguments.Extent) + arguments.Indices[i]) * arguments.Inner) + (i % arguments.Inner)] += arguments.Y[i];
        }
    }

    /// <summary>What the kernels of the sum are given; Count is that of X.</summary>
    public readonly record struct SumArguments(ArrayView<float> X, int Count, int Extent, int Inner, double Scale, ArrayView<float> Y);

    /// <summary>What <see cref="Fold"/> is given: sums of Terms numbers, which lie where those of its runs will.</summary>
    public readonly record struct FoldArguments(int Terms, LongSums Sums);

    /// <summary>What the kernels of the maximum are given; Count is that of Y.</summary>
    public readonly record struct MaxArguments(ArrayView<float> X, int Extent, int Inner, int Count, ArrayView<float> Y, ArrayView<int> Indices);
}
