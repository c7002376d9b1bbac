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
                BFloat16Vectors.Widen((ushort*)source, destination, count);
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

    /// <summary>Bits whose upper half is the rounded value; a NaN stays one.</summary>
    private static Vector256<uint> RoundedBits(Vector256<float> values)
    {
        Vector256<uint> bits = values.AsUInt32();
        Vector256<uint> odd = Vector256.ShiftRightLogical(bits, 16) & Vector256<uint>.One;
        Vector256<uint> rounded = bits + Vector256.Create(0x7FFFu) + odd;
        return Vector256.ConditionalSelect(Vector256.IsNaN(values).AsUInt32(), bits | Vector256.Create(0x400000u), rounded);
    }
}
