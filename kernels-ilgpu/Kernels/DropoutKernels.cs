using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Dropout, one element a thread, with the bits of <see cref="PureQLora.Core.RandomState.Bits"/>.</summary>
public static class DropoutKernels
{
    /// <summary>y = scale · x where the element is kept, else 0, or that with y added.</summary>
    public static readonly Kernel<Arguments> Apply = new(RunApply, groupSize: 256);

    private static void RunApply(Arguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            ulong bits = Mix(arguments.Key + ((ulong)(i + 1L) * 0x9E3779B97F4A7C15UL));
            float value = (bits >> 40) >= arguments.Threshold ? arguments.X[i] * arguments.Scale : 0f;
            ArrayView<float> y = arguments.Y;
            y[i] = arguments.Target == TargetMode.Add ? y[i] + value : value;
        }
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }

    /// <summary>What the kernel is given; an element is kept where its 24 random bits are at least the threshold.</summary>
    public readonly record struct Arguments(
        ArrayView<float> X, ulong Key, ulong Threshold, float Scale, int Count, int Target, ArrayView<float> Y);
}
