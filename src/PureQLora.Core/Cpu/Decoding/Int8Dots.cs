using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>
/// Products of packed codes with rows rounded to 8-bit integers for every processor, width of codes and size of groups: what
/// <see cref="Int8Tiles"/> computes, to the same bits.
/// </summary>
internal static unsafe class Int8Dots
{
    /// <summary>Codes of a row, one a byte.</summary>
    /// <param name="rows">The weight.</param>
    /// <param name="row">The row.</param>
    /// <param name="target">[columns], with room up to a multiple of 32.</param>
    public static void Unpack(in PackedRows rows, long row, byte* target)
    {
        byte* codes = rows.Codes + (row * rows.RowBytes);
        switch (rows.Bits)
        {
            case 8:
                NativeMemory.Copy(codes, target, (nuint)rows.Columns);
                break;
            case 3:
                UnpackThrees((uint*)codes, rows.Columns, target);
                break;
            default:
                UnpackFields(codes, rows.RowBytes, rows.Bits, target);
                break;
        }
    }

    /// <summary>Σ code · q.</summary>
    /// <param name="codes">[count]</param>
    /// <param name="q">[count]</param>
    /// <param name="count">Columns, at most 128.</param>
    /// <param name="tier">Says how wide vectors may be.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Sum(byte* codes, sbyte* q, int count, CpuTier tier)
    {
        (int i, int sum) = (0, 0);
        if (tier >= CpuTier.Avx2)
        {
            Vector256<int> sums = default;
            for (; i <= count - 32; i += 32)
            {
                // A product of a byte with a signed one fits 16 bits, as q is at most 127.
                (Vector256<ushort> codes0, Vector256<ushort> codes1) = Vector256.Widen(Vector256.Load(codes + i));
                (Vector256<short> q0, Vector256<short> q1) = Vector256.Widen(Vector256.Load(q + i));
                sums += Pairs(codes0.AsInt16() * q0) + Pairs(codes1.AsInt16() * q1);
            }

            sum = Vector256.Sum(sums);
        }
        else if (tier >= CpuTier.Vector128)
        {
            Vector128<int> sums = default;
            for (; i <= count - 16; i += 16)
            {
                (Vector128<ushort> codes0, Vector128<ushort> codes1) = Vector128.Widen(Vector128.Load(codes + i));
                (Vector128<short> q0, Vector128<short> q1) = Vector128.Widen(Vector128.Load(q + i));
                sums += Pairs(codes0.AsInt16() * q0) + Pairs(codes1.AsInt16() * q1);
            }

            sum = Vector128.Sum(sums);
        }

        for (; i < count; i++)
        {
            sum += codes[i] * q[i];
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Pairs(Vector256<short> products) => Vector256.WidenLower(products) + Vector256.WidenUpper(products);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Pairs(Vector128<short> products) => Vector128.WidenLower(products) + Vector128.WidenUpper(products);

    /// <summary>Codes of 2 or 4 bits: those of four bytes spread over as many words as a byte has codes, then put in order.</summary>
    private static void UnpackFields(byte* codes, long bytes, int bits, byte* target)
    {
        uint mask = 0x01010101u * ((1u << bits) - 1);
        for (long i = 0; i < bytes; i += sizeof(uint))
        {
            uint word = *(uint*)(codes + i);
            uint first = word & mask, second = (word >> bits) & mask;
            Vector128<byte> values = bits == 4
                ? Vector128.Shuffle(Vector128.Create(first, second, 0, 0).AsByte(), Vector128.Create((byte)0, 4, 1, 5, 2, 6, 3, 7, 8, 8, 8, 8, 8, 8, 8, 8))
                : Vector128.Shuffle(
                    Vector128.Create(first, second, (word >> (2 * bits)) & mask, (word >> (3 * bits)) & mask).AsByte(),
                    Vector128.Create((byte)0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
            values.Store(target);
            target += sizeof(uint) * (8 / bits);
        }
    }

    /// <summary>32 codes of 3 bits fill three words.</summary>
    private static void UnpackThrees(uint* words, int columns, byte* target)
    {
        for (int column = 0; column < columns; column++)
        {
            (int word, int bit) = Math.DivRem(3 * column, 32);
            ulong window = words[word] | (bit > 29 ? (ulong)words[word + 1] << 32 : 0);
            target[column] = (byte)((window >> bit) & 7);
        }
    }
}
