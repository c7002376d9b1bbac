using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>Sums and maxima over the 32 threads of a warp, in an order that is always the same; every thread gets the result.</summary>
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

    /// <summary>max value.</summary>
    public static float Max(float value)
    {
        value = XMath.Max(value, Warp.ShuffleXor(value, 16));
        value = XMath.Max(value, Warp.ShuffleXor(value, 8));
        value = XMath.Max(value, Warp.ShuffleXor(value, 4));
        value = XMath.Max(value, Warp.ShuffleXor(value, 2));
        return XMath.Max(value, Warp.ShuffleXor(value, 1));
    }
}
