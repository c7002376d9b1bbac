using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IReductionKernels
{
    /// <inheritdoc/>
    public void ReduceSum(Tensor x, int axis, double scale, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        (_, long extent, long inner) = x.Shape.Around(axis);
        if (Count(y) > 0)
        {
            _device.Launch(
                ReductionKernels.Sum,
                new LaunchShape(Count(y)),
                new ReductionKernels.SumArguments(Floats(x), Count(x), (int)extent, (int)inner, scale, Floats(y)));
        }
    }

    /// <inheritdoc/>
    public void ReduceSumBackward(Tensor dy, int axis, double scale, Tensor dx)
    {
        ArgumentNullException.ThrowIfNull(dx);
        (_, long extent, long inner) = dx.Shape.Around(axis);
        if (Count(dx) > 0)
        {
            _device.Launch(
                ReductionKernels.SumGradient,
                LaunchShape.For(Count(dx), ReductionKernels.SumGradient.GroupSize),
                new ReductionKernels.SumArguments(Floats(dx), Count(dx), (int)extent, (int)inner, scale, Floats(dy)));
        }
    }

    /// <inheritdoc/>
    public void ReduceMax(Tensor x, int axis, Tensor y, Tensor indices)
    {
        ArgumentNullException.ThrowIfNull(x);
        LaunchMax(ReductionKernels.Max, x, axis, y, indices);
    }

    /// <inheritdoc/>
    public void ReduceMaxBackward(Tensor dy, Tensor indices, int axis, Tensor dx)
    {
        ArgumentNullException.ThrowIfNull(dx);
        LaunchMax(ReductionKernels.MaxGradient, dx, axis, dy, indices);
    }

    /// <summary>Sums of so many terms, to be added to a gradient; what the runs make lies in the workspace until <see cref="EndSums"/>.</summary>
    private LongSums BeginSums(int terms, Tensor gradient)
    {
        int runs = LongSums.RunsOf(terms);
        int count = Count(gradient);
        long length = runs == 1 ? 1 : (long)runs * count;
        return new LongSums(runs, count, Workspace(length * sizeof(double)).View<double>(0, length), Floats(gradient));
    }

    /// <summary>Adds up what the runs made until it is in the gradient.</summary>
    private void EndSums(LongSums sums)
    {
        while (sums.Runs > 1)
        {
            int terms = sums.Runs;
            sums = sums with { Runs = LongSums.RunsOf(terms) };
            _device.Launch(
                ReductionKernels.Fold,
                LaunchShape.For(sums.Runs * sums.Count, ReductionKernels.Fold.GroupSize),
                new ReductionKernels.FoldArguments(terms, sums));
        }
    }

    private void LaunchMax(Kernel<ReductionKernels.MaxArguments> kernel, Tensor x, int axis, Tensor y, Tensor indices)
    {
        (_, long extent, long inner) = x.Shape.Around(axis);
        (_, int count) = (Count(x), Count(y));
        if (count > 0)
        {
            _device.Launch(
                kernel,
                LaunchShape.For(count, kernel.GroupSize),
                new ReductionKernels.MaxArguments(Floats(x), (int)extent, (int)inner, count, Floats(y), Ints(indices)));
        }
    }
}
