using System.Numerics;
using System.Runtime.InteropServices;

namespace PureQLora.Models;

/// <summary>Looks for NaN and infinity by their exponent of ones, so that all floating types go the same way.</summary>
internal static class NonFinite
{
    /// <summary>Index of the first element that is no finite number, or −1.</summary>
    /// <param name="type">A floating type.</param>
    /// <param name="bytes">Little-endian elements.</param>
    public static long IndexIn(SafetensorsType type, ReadOnlySpan<byte> bytes) => type switch
    {
        SafetensorsType.F64 => IndexOfExponent<ulong>(MemoryMarshal.Cast<byte, ulong>(bytes), 0x7FF0_0000_0000_0000),
        SafetensorsType.F32 => IndexOfExponent<uint>(MemoryMarshal.Cast<byte, uint>(bytes), 0x7F80_0000),
        SafetensorsType.BF16 => IndexOfExponent<ushort>(MemoryMarshal.Cast<byte, ushort>(bytes), 0x7F80),
        SafetensorsType.F16 => IndexOfExponent<ushort>(MemoryMarshal.Cast<byte, ushort>(bytes), 0x7C00),
        _ => -1,
    };

    private static int IndexOfExponent<T>(ReadOnlySpan<T> values, T exponent)
        where T : struct, IBinaryInteger<T>
    {
        Vector<T> mask = new(exponent);
        int i = 0;
        for (; i <= values.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            if (Vector.EqualsAny(new Vector<T>(values[i..]) & mask, mask))
            {
                break;
            }
        }

        for (; i < values.Length; i++)
        {
            if ((values[i] & exponent) == exponent)
            {
                return i;
            }
        }

        return -1;
    }
}
