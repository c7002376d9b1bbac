using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Sums, maxima and minima over the threads of a group, in an order that is always the same; every thread gets the result.</summary>
public static class GroupReduction
{
    /// <summary>Elements of shared memory that a reduction needs: one for each warp of the largest group.</summary>
    public const int ScratchLength = 32;

    /// <summary>Σ value. All threads call together; the scratch is free again when it returns.</summary>
    /// <param name="value">Of this thread.</param>
    /// <param name="scratch">Shared, <see cref="ScratchLength"/> elements.</param>
    public static float Sum(float value, ArrayView<float> scratch)
    {
        float ofWarp = WarpReduction.Sum(value);
        if ((Group.IdxX & 31) == 0)
        {
            scratch[Group.IdxX >> 5] = ofWarp;
        }

        Group.Barrier();
        float total = 0f;
        for (int warp = 0; warp < Group.DimX >> 5; warp++)
        {
            total += scratch[warp];
        }

        Group.Barrier();
        return total;
    }

    /// <summary>max value; NaN where any thread has one. All threads call together; the scratch is free again when it returns.</summary>
    /// <param name="value">Of this thread.</param>
    /// <param name="scratch">Shared, <see cref="ScratchLength"/> elements.</param>
    public static float Max(float value, ArrayView<float> scratch)
    {
        float ofWarp = WarpReduction.Max(value);
        if ((Group.IdxX & 31) == 0)
        {
            scratch[Group.IdxX >> 5] = ofWarp;
        }

        Group.Barrier();
        float max = scratch[0];
        for (int warp = 1; warp < Group.DimX >> 5; warp++)
        {
            max = WarpReduction.Larger(max, scratch[warp]);
        }

        Group.Barrier();
        return max;
    }

    /// <summary>min value. All threads call together; the scratch is free again when it returns.</summary>
    /// <param name="value">Of this thread.</param>
    /// <param name="scratch">Shared, <see cref="ScratchLength"/> elements.</param>
    public static int Min(int value, ArrayView<int> scratch)
    {
        int ofWarp = WarpReduction.Min(value);
        if ((Group.IdxX & 31) == 0)
        {
            scratch[Group.IdxX >> 5] = ofWarp;
        }

        Group.Barrier();
        int min = scratch[0];
        for (int warp = 1; warp < Group.DimX >> 5; warp++)
        {
            min = scratch[warp] < min ? scratch[warp] : min;
        }

        Group.Barrier();
        return min;
    }
}
