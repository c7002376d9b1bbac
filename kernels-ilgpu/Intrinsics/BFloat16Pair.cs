using ILGPU;
using ILGPU.IR.Intrinsics;

namespace PureQLora.Kernels;

/// <summary>Two bfloat16 numbers in a 32-bit word, the first in the lower half: the operands of the tensor cores.</summary>
public static class BFloat16Pair
{
    /// <summary>Rounds two floats to nearest, ties to even.</summary>
    /// <param name="low">The first number.</param>
    /// <param name="high">The second number.</param>
    public static uint Pack(float low, float high) => Convert(high, low);

    /// <summary>The first number.</summary>
    public static float Low(uint pair) => Interop.IntAsFloat(pair << 16);

    /// <summary>The second number.</summary>
    public static float High(uint pair) => Interop.IntAsFloat(pair & 0xFFFF0000u);

    [IntrinsicImplementation, Ptx("cvt.rn.bf16x2.f32 $r0, $0, $1")]
    private static uint Convert(float high, float low) => (Round(high) & 0xFFFF0000u) | (Round(low) >> 16);

    /// <summary>The upper half is the bfloat16 number; a NaN stays one.</summary>
    private static uint Round(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        return (bits & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FFF0000u : bits + 0x7FFFu + ((bits >> 16) & 1u);
    }
}
