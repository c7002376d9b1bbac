using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Filling and adding, one element a thread.</summary>
public static class MemoryKernels
{
    /// <summary>y = value.</summary>
    public static readonly Kernel<FillArguments> Fill = new(RunFill, groupSize: 256);

    /// <summary>y = factor · x + term, or that with y added.</summary>
    public static readonly Kernel<AffineArguments> Affine = new(RunAffine, groupSize: 256);

    private static void RunFill(FillArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            ArrayView<float> y = arguments.Y;
            y[i] = arguments.Value;
        }
    }

    private static void RunAffine(AffineArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            ArrayView<float> y = arguments.Y;
            float value = (arguments.Factor * arguments.X[i]) + arguments.Term;
            y[i] = arguments.Target == TargetMode.Add ? y[i] + value : value;
        }
    }

    /// <summary>What <see cref="Fill"/> is given.</summary>
    public readonly record struct FillArguments(ArrayView<float> Y, int Count, float Value);

    /// <summary>What <see cref="Affine"/> is given.</summary>
    public readonly record struct AffineArguments(ArrayView<float> X, int Count, float Factor, float Term, int Target, ArrayView<float> Y);
}
