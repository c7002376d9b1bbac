using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>
/// A vector in the order in which packed codes are unpacked: in each block of 128 elements vector j holds elements 8d + j in its lanes
/// d = 0 … 15; then come the sums of the eight elements of each lane, and each lane's group. Padded with zeros.
/// </summary>
internal static unsafe class BlockedVector
{
    private const int Elements = PackedRows.Block;

    /// <summary>Floats that a block takes: eight vectors of elements, one of sums, one of groups.</summary>
    public const int Length = 160;

    /// <summary>Writes the blocks of a vector.</summary>
    /// <param name="x">[count]</param>
    /// <param name="count">Elements.</param>
    /// <param name="groupSize">Consecutive elements of a group, a multiple of 8; the last group may be shorter.</param>
    /// <param name="target">[blocks, Length]</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Arrange(float* x, int count, int groupSize, float* target)
    {
        float* padded = stackalloc float[Elements];
        for (int start = 0; start < count; start += Elements, target += Length)
        {
            float* block = x + start;
            if (count - start < Elements)
            {
                new Span<float>(padded, Elements).Clear();
                new ReadOnlySpan<float>(x + start, count - start).CopyTo(new Span<float>(padded, Elements));
                block = padded;
            }

            Transpose(block, target);
            int* groups = (int*)target + Elements + 16;
            for (int lane = 0; lane < 16; lane++)
            {
                groups[lane] = Math.Min(start + (8 * lane), count - 1) / groupSize;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(float* block, float* target)
    {
        Vector512<int> even = Vector512<int>.Indices + Vector512<int>.Indices;
        Vector512<int> odd = even + Vector512<int>.One;
        Vector512<float> sum = default;

        // Elements j, 8 + j, …: three times every other one.
        Vector512<float>* a = stackalloc Vector512<float>[8];
        Vector512<float>* b = stackalloc Vector512<float>[8];
        for (int i = 0; i < 4; i++)
        {
            (Vector512<float> l, Vector512<float> r) = (Vector512.Load(block + (32 * i)), Vector512.Load(block + (32 * i) + 16));
            a[i] = Avx512F.PermuteVar16x32x2(l, even, r);            // elements 0, 2, …
            a[4 + i] = Avx512F.PermuteVar16x32x2(l, odd, r);         // 1, 3, …
        }

        for (int i = 0; i < 4; i++)
        {
            (Vector512<float> l, Vector512<float> r) = (a[2 * i], a[(2 * i) + 1]);
            int at = i < 2 ? i : i + 2;                              // halves of the even ones in 0, 1, of the odd ones in 4, 5
            b[at] = Avx512F.PermuteVar16x32x2(l, even, r);
            b[at + 2] = Avx512F.PermuteVar16x32x2(l, odd, r);
        }

        ReadOnlySpan<byte> firsts = [0, 2, 1, 3];                    // b holds elements 0, 2, 1, 3 modulo 4
        for (int i = 0; i < 4; i++)
        {
            (Vector512<float> l, Vector512<float> r) = (b[2 * i], b[(2 * i) + 1]);
            Vector512<float> first = Avx512F.PermuteVar16x32x2(l, even, r);
            Vector512<float> second = Avx512F.PermuteVar16x32x2(l, odd, r);
            first.Store(target + (16 * firsts[i]));
            second.Store(target + (16 * (firsts[i] + 4)));
            sum += first + second;
        }

        sum.Store(target + Elements);
    }
}
