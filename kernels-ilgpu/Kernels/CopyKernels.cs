using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Copies of boxes with strides of their own on both sides: slices and transpositions; one element a thread.</summary>
public static class CopyKernels
{
    /// <summary>Elements of 32 bits.</summary>
    public static readonly Kernel<Arguments<uint>> Words = new(RunCopy, groupSize: 256);

    /// <summary>Elements of 16 bits.</summary>
    public static readonly Kernel<Arguments<ushort>> HalfWords = new(RunCopy, groupSize: 256);

    /// <summary>Floats, added to what is there.</summary>
    public static readonly Kernel<Arguments<float>> Add = new(RunAdd, groupSize: 256);

    private static void RunCopy<T>(Arguments<T> arguments)
        where T : unmanaged
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            Extents index = arguments.Box.IndexOf(i);
            ArrayView<T> target = arguments.Target;
            target[arguments.TargetStart + arguments.TargetStrides.Dot(index)] = arguments.Source[arguments.SourceStart + arguments.SourceStrides.Dot(index)];
        }
    }

    private static void RunAdd(Arguments<float> arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            Extents index = arguments.Box.IndexOf(i);
            ArrayView<float> target = arguments.Target;
            target[arguments.TargetStart + arguments.TargetStrides.Dot(index)] += arguments.Source[arguments.SourceStart + arguments.SourceStrides.Dot(index)];
        }
    }

    /// <summary>What a copy is given.</summary>
    /// <param name="Box">Extents of what is copied.</param>
    /// <param name="Count">Its elements.</param>
    /// <param name="Source">Where from.</param>
    /// <param name="SourceStart">First element.</param>
    /// <param name="SourceStrides">Strides.</param>
    /// <param name="Target">Where to.</param>
    /// <param name="TargetStart">First element.</param>
    /// <param name="TargetStrides">Strides.</param>
    public readonly record struct Arguments<T>(
        Extents Box, int Count, ArrayView<T> Source, int SourceStart, Extents SourceStrides, ArrayView<T> Target, int TargetStart, Extents TargetStrides)
        where T : unmanaged;
}
