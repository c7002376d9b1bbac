using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>Sums, maxima and minima over the 32 threads of a warp, in an order that is always the same; every thread gets the result.</summary>
public static class WarpReduction
{
    /// <summary>Σ value.</summary>
    public static float Sum(float value)
    {
        value += Warp.ShuffleXor(value, 16);
        value += Warp.ShuffleXor(value, 8);
        value += Warp.ShuffleXor(value, 4);
        value += Warp.ShuffleXor(value, 2);
        return value + Warp.ShuffleXor(value, 1);
    }

    /// <summary>max value; NaN where any lane has one.</summary>
    public static float Max(float value)
    {
        value = Larger(value, Warp.ShuffleXor(value, 16));
        value = Larger(value, Warp.ShuffleXor(value, 8));
        value = Larger(value, Warp.ShuffleXor(value, 4));
        value = Larger(value, Warp.ShuffleXor(value, 2));
        return Larger(value, Warp.ShuffleXor(value, 1));
    }

    /// <summary>min value.</summary>
    public static int Min(int value)
    {
        value = Smaller(value, Warp.ShuffleXor(value, 16));
        value = Smaller(value, Warp.ShuffleXor(value, 8));
        value = Smaller(value, Warp.ShuffleXor(value, 4));
        value = Smaller(value, Warp.ShuffleXor(value, 2));
        return Smaller(value, Warp.ShuffleXor(value, 1));
    }

    /// <summary>The larger one; NaN if either is.</summary>
    public static float Larger(float a, float b)
    {
        float larger = a >= b ? a : b;
        return XMath.IsNaN(a) ? a : larger;
    }

    private static int Smaller(int a, int b) => a < b ? a : b;
}
