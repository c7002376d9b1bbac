using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Vectors of 512 bits on their way into bfloat16 products, which take two elements a lane; rounding as <see cref="BFloat16"/> does it.</summary>
internal static unsafe class BFloat16Pairs
{
    /// <summary>Each lane's upper half is the rounded value; the lower half is undefined. NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> RoundBits(Vector512<float> value)
    {
        Vector512<uint> bits = value.AsUInt32();
        Vector512<uint> odd = Vector512.ShiftRightLogical(bits, 16) & Vector512<uint>.One;
        Vector512<uint> rounded = bits + Vector512.Create(0x7FFFu) + odd;

        // Rounding could carry a NaN into infinity or zero.
        return Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(), rounded, bits | Vector512.Create(0x400000u));
    }

    /// <summary>Pairs of two vectors' lanes: the first in the lower halves, the second in the upper ones; both as <see cref="RoundBits"/> gives them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Pair(Vector512<uint> first, Vector512<uint> second) =>
        Vector512.ShiftRightLogical(first, 16) | (second & Vector512.Create(0xFFFF0000u));

    /// <summary>The upper halves, side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreUpperHalves(Vector512<uint> bits, ushort* target) =>
        Avx512F.ConvertToVector256UInt16(Vector512.ShiftRightLogical(bits, 16)).Store(target);

    /// <summary>Sixteen elements, or the first <paramref name="count"/> and zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadPadded(float* source, int count)
    {
        if (count >= Vector512<float>.Count)
        {
            return Vector512.Load(source);
        }

        Vector512<float> padded = default;
        for (int i = 0; i < count; i++)
        {
            padded = padded.WithElement(i, source[i]);
        }

        return padded;
    }
}
