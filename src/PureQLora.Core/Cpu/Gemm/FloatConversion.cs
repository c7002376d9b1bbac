using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>Conversions between the floating types, vectorised; rounding is to nearest, ties to even.</summary>
internal static unsafe class FloatConversion
{
    /// <summary>Widens elements to float32; exact.</summary>
    public static void ToFloat32(byte* source, DataType type, long count, float* destination)
    {
        switch (type)
        {
            case DataType.Float32:
                Buffer.MemoryCopy(source, destination, count * sizeof(float), count * sizeof(float));
                break;
            case DataType.BFloat16:
                FromBFloat16((ushort*)source, count, destination);
                break;
            case DataType.Float16:
                for (long start = 0; start < count; start += int.MaxValue)
                {
                    int length = (int)Math.Min(int.MaxValue, count - start);
                    TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>((Half*)source + start, length), new Span<float>(destination + start, length));
                }

                break;
            default:
                throw new InvalidOperationException($"{type} holds no floats.");
        }
    }

    /// <summary>Rounds float32 to bfloat16.</summary>
    public static void ToBFloat16(float* source, long count, ushort* destination)
    {
        long i = 0;
        for (; i <= count - 16; i += 16)
        {
            Vector256<uint> low = RoundedBits(Vector256.Load(source + i));
            Vector256<uint> high = RoundedBits(Vector256.Load(source + i + 8));
            Vector256.Narrow(Vector256.ShiftRightLogical(low, 16), Vector256.ShiftRightLogical(high, 16)).Store(destination + i);
        }

        for (; i < count; i++)
        {
            destination[i] = ((BFloat16)source[i]).Bits;
        }
    }

    /// <summary>Rounds float32 values to those that bfloat16 can hold, in place.</summary>
    public static void RoundToBFloat16(float* values, long count)
    {
        Vector256<uint> kept = Vector256.Create(0xFFFF0000);
        long i = 0;
        for (; i <= count - 8; i += 8)
        {
            (RoundedBits(Vector256.Load(values + i)) & kept).AsSingle().Store(values + i);
        }

        for (; i < count; i++)
        {
            values[i] = BFloat16.Round(values[i]);
        }
    }

    /// <summary>Bits whose upper half is the rounded value; a NaN stays one.</summary>
    private static Vector256<uint> RoundedBits(Vector256<float> values)
    {
        Vector256<uint> bits = values.AsUInt32();
        Vector256<uint> odd = Vector256.ShiftRightLogical(bits, 16) & Vector256<uint>.One;
        Vector256<uint> rounded = bits + Vector256.Create(0x7FFFu) + odd;
        return Vector256.ConditionalSelect(Vector256.IsNaN(values).AsUInt32(), bits | Vector256.Create(0x400000u), rounded);
    }

    private static void FromBFloat16(ushort* source, long count, float* destination)
    {
        long i = 0;
        for (; i <= count - 16; i += 16)
        {
            (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.Load(source + i));
            Vector256.ShiftLeft(low, 16).AsSingle().Store(destination + i);
            Vector256.ShiftLeft(high, 16).AsSingle().Store(destination + i + 8);
        }

        for (; i < count; i++)
        {
            destination[i] = new BFloat16(source[i]);
        }
    }
}
