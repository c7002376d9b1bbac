using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>Conversions of <see cref="BFloat16"/> in bulk, bit for bit those of the type itself.</summary>
internal static unsafe class BFloat16Vectors
{
    /// <summary>target(i) = the float with the upper bits source(i).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widen(ushort* source, float* target, long count)
    {
        long i = 0;
        for (; i <= count - 16; i += 16)
        {
            (Vector256<uint> lower, Vector256<uint> upper) = Vector256.Widen(Vector256.Load(source + i));
            Vector256.ShiftLeft(lower, 16).AsSingle().Store(target + i);
            Vector256.ShiftLeft(upper, 16).AsSingle().Store(target + i + 8);
        }

        for (; i < count; i++)
        {
            target[i] = new BFloat16(source[i]);
        }
    }

    /// <summary>target(i) = source(i) rounded to what a <see cref="BFloat16"/> holds; may be in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round(float* source, float* target, long count)
    {
        long i = 0;
        for (; i <= count - 8; i += 8)
        {
            Round(Vector256.Load(source + i)).Store(target + i);
        }

        for (; i < count; i++)
        {
            target[i] = BFloat16.Round(source[i]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Round(Vector256<float> value)
    {
        Vector256<uint> bits = value.AsUInt32();
        Vector256<uint> odd = Vector256.ShiftRightLogical(bits, 16) & Vector256<uint>.One;
        Vector256<uint> rounded = bits + Vector256.Create(0x7FFFu) + odd;

        // Rounding could carry a NaN into infinity; it keeps its upper bits and becomes quiet instead.
        Vector256<uint> number = Vector256.Equals(value, value).AsUInt32();
        Vector256<uint> kept = Vector256.ConditionalSelect(number, rounded, bits | Vector256.Create(0x400000u));
        return (kept & Vector256.Create(0xFFFF0000u)).AsSingle();
    }
}
