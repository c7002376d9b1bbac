using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Sums, maxima and minima over the threads of a group, in an order that is always the same; every thread gets the result.</summary>
/// <remarks>All threads call together; the scratch is free again when a reduction returns.</remarks>
public static class GroupReduction
{
    /// <summary>Elements of shared memory that a reduction needs: one for each warp of the largest group.</summary>
    public const int ScratchLength = 32;

    /// <summary>Σ value.</summary>
    /// <param name="value">Of this thread.</param>
    /// <param name="scratch">Shared, <see cref="ScratchLength"/> elements.</param>
    public static float Sum(float value, ArrayView<float> scratch) => Reduce<float, Addition>(value, scratch);

    /// <summary>max value; NaN where any thread has one.</summary>
    /// <param name="value">Of this thread.</param>
    /// <param name="scratch">Shared, <see cref="ScratchLength"/> elements.</param>
    public static float Max(float value, ArrayView<float> scratch) => Reduce<float, Maximum>(value, scratch);

    /// <summary>min value.</summary>
    /// <param name="value">Of this thread.</param>
    /// <param name="scratch">Shared, <see cref="ScratchLength"/> elements.</param>
    public static int Min(int value, ArrayView<int> scratch) => Reduce<int, Minimum>(value, scratch);

    private static T Reduce<T, TReduction>(T value, ArrayView<T> scratch)
        where T : unmanaged
        where TReduction : struct, IReduction<T>
    {
        T ofWarp = TReduction.OverWarp(value);
        if ((Group.IdxX & 31) == 0)
        {
            scratch[Group.IdxX >> 5] = ofWarp;
        }

        Group.Barrier();
        T result = scratch[0];
        for (int warp = 1; warp < Group.DimX >> 5; warp++)
        {
            result = TReduction.Join(result, scratch[warp]);
        }

        Group.Barrier();
        return result;
    }

    private readonly struct Addition : IReduction<float>
    {
        public static float OverWarp(float value) => WarpReduction.Sum(value);

        public static float Join(float a, float b) => a + b;
    }

    private readonly struct Maximum : IReduction<float>
    {
        public static float OverWarp(float value) => WarpReduction.Max(value);

        public static float Join(float a, float b) => WarpReduction.Larger(a, b);
    }

    private readonly struct Minimum : IReduction<int>
    {
        public static int OverWarp(int value) => WarpReduction.Min(value);

        public static int Join(int a, int b) => a < b ? a : b;
    }
}
