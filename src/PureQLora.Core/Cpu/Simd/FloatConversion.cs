using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>Conversions between float32 and the 16-bit types, in the widest vectors there are; every width gives the same bits.</summary>
internal static unsafe class FloatConversion
{
    /// <summary>Rounds to nearest, ties to even; a NaN stays a NaN (see <see cref="BFloat16"/>).</summary>
    public static void ToBFloat16(float* source, ushort* destination, long count)
    {
        long i = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            for (; i <= count - Vector512<ushort>.Count; i += Vector512<ushort>.Count)
            {
                Vector512<uint> low = Upper(Vector512.Load(source + i));
                Vector512<uint> high = Upper(Vector512.Load(source + i + Vector512<float>.Count));
                Vector512.Narrow(low, high).Store(destination + i);
            }
        }

        if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= count - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            {
                Vector256<uint> low = Upper(Vector256.Load(source + i));
                Vector256<uint> high = Upper(Vector256.Load(source + i + Vector256<float>.Count));
                Vector256.Narrow(low, high).Store(destination + i);
            }
        }

        for (; i <= count - Vector128<ushort>.Count; i += Vector128<ushort>.Count)
        {
            Vector128<uint> low = Upper(Vector128.Load(source + i));
            Vector128<uint> high = Upper(Vector128.Load(source + i + Vector128<float>.Count));
            Vector128.Narrow(low, high).Store(destination + i);
        }

        for (; i < count; i++)
        {
            destination[i] = ((BFloat16)source[i]).Bits;
        }
    }

    /// <summary>Exact.</summary>
    public static void FromBFloat16(ushort* source, float* destination, long count)
    {
        uint* bits = (uint*)destination;
        long i = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            for (; i <= count - Vector512<ushort>.Count; i += Vector512<ushort>.Count)
            {
                (Vector512<uint> low, Vector512<uint> high) = Vector512.Widen(Vector512.Load(source + i));
                (low << 16).Store(bits + i);
                (high << 16).Store(bits + i + Vector512<uint>.Count);
            }
        }

        if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= count - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            {
                (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.Load(source + i));
                (low << 16).Store(bits + i);
                (high << 16).Store(bits + i + Vector256<uint>.Count);
            }
        }

        for (; i <= count - Vector128<ushort>.Count; i += Vector128<ushort>.Count)
        {
            (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load(source + i));
            (low << 16).Store(bits + i);
            (high << 16).Store(bits + i + Vector128<uint>.Count);
        }

        for (; i < count; i++)
        {
            bits[i] = (uint)source[i] << 16;
        }
    }

    /// <summary>Exact.</summary>
    public static void FromFloat16(Half* source, float* destination, long count)
    {
        for (long at = 0; at < count; at += int.MaxValue)
        {
            int length = (int)Math.Min(int.MaxValue, count - at);
            TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>(source + at, length), new Span<float>(destination + at, length));
        }
    }

    // The rounded upper halves: add just under half a unit, and one more where the kept part is odd.
    private static Vector512<uint> Upper(Vector512<float> value)
    {
        Vector512<uint> bits = value.AsUInt32();
        Vector512<uint> upper = bits >>> 16;
        Vector512<uint> rounded = (bits + Vector512.Create(0x7FFFu) + (upper & Vector512.Create(1u))) >>> 16;
        return Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(), rounded, upper | Vector512.Create(0x40u));
    }

    private static Vector256<uint> Upper(Vector256<float> value)
    {
        Vector256<uint> bits = value.AsUInt32();
        Vector256<uint> upper = bits >>> 16;
        Vector256<uint> rounded = (bits + Vector256.Create(0x7FFFu) + (upper & Vector256.Create(1u))) >>> 16;
        return Vector256.ConditionalSelect(Vector256.Equals(value, value).AsUInt32(), rounded, upper | Vector256.Create(0x40u));
    }

    private static Vector128<uint> Upper(Vector128<float> value)
    {
        Vector128<uint> bits = value.AsUInt32();
        Vector128<uint> upper = bits >>> 16;
        Vector128<uint> rounded = (bits + Vector128.Create(0x7FFFu) + (upper & Vector128.Create(1u))) >>> 16;
        return Vector128.ConditionalSelect(Vector128.Equals(value, value).AsUInt32(), rounded, upper | Vector128.Create(0x40u));
    }
}
