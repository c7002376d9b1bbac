using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>
/// Products of quantised rows with one vector, straight from the packed codes:
/// y(n) = Σ over groups of scale · (Σ code · x − zero · Σ x). Bound by memory.
/// </summary>
internal static unsafe class PackedDots512
{
    /// <summary>How far ahead codes are asked for; a row is short of what the processor foresees by itself.</summary>
    private const int PrefetchBytes = 4096;

    /// <summary>Four rows times the vector, operands exact.</summary>
    /// <param name="rows">The weight.</param>
    /// <param name="row">First of the four rows.</param>
    /// <param name="count">1 to 4 of them that there are.</param>
    /// <param name="x">The vector as <see cref="BlockedVector"/> arranges it.</param>
    /// <param name="sums">[4]</param>
    /// <typeparam name="TCodes">Width of the codes, at most 4 bits.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Exact<TCodes>(in PackedRows rows, long row, int count, float* x, float* sums)
        where TCodes : struct, ICodeWidth
    {
        (long stride, long groups) = (rows.RowBytes, rows.Groups);
        (long r1, long r2, long r3) = (count > 1 ? 1 : 0, count > 2 ? 2 : 0, count > 3 ? 3 : 0);
        byte* codes = rows.Codes + (row * stride);
        float* scales = rows.Scales + (row * groups);
        byte* zeros = rows.Zeros + (row * groups);
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        int blocks = BlockedVector.Blocks(rows.Columns);
        int blockBytes = 16 * TCodes.Bits;
        bool oneGroup = rows.GroupSize % BlockedVector.Elements == 0 || groups == 1;
        for (int block = 0; block < blocks; block++, x += BlockedVector.Length, codes += blockBytes)
        {
            Sse.Prefetch0(codes + PrefetchBytes);
            Sse.Prefetch0(codes + (r1 * stride) + PrefetchBytes);
            Sse.Prefetch0(codes + (r2 * stride) + PrefetchBytes);
            Sse.Prefetch0(codes + (r3 * stride) + PrefetchBytes);
            Vector512<float> t0 = Block<TCodes>(codes, x), t1 = Block<TCodes>(codes + (r1 * stride), x);
            Vector512<float> t2 = Block<TCodes>(codes + (r2 * stride), x), t3 = Block<TCodes>(codes + (r3 * stride), x);
            Vector512<float> sum = Vector512.Load(x + BlockedVector.Elements);
            int* group = (int*)x + BlockedVector.Elements + 16;
            int first = *group;
            if (oneGroup)
            {
                s0 = Scaled(t0, sum, scales + first, zeros + first, s0);
                s1 = Scaled(t1, sum, scales + (r1 * groups) + first, zeros + (r1 * groups) + first, s1);
                s2 = Scaled(t2, sum, scales + (r2 * groups) + first, zeros + (r2 * groups) + first, s2);
                s3 = Scaled(t3, sum, scales + (r3 * groups) + first, zeros + (r3 * groups) + first, s3);
                continue;
            }

            Vector512<int> lanes = Vector512.Load(group) - Vector512.Create(first);
            s0 = Scaled(t0, sum, scales + first, zeros + first, lanes, s0);
            s1 = Scaled(t1, sum, scales + (r1 * groups) + first, zeros + (r1 * groups) + first, lanes, s1);
            s2 = Scaled(t2, sum, scales + (r2 * groups) + first, zeros + (r2 * groups) + first, lanes, s2);
            s3 = Scaled(t3, sum, scales + (r3 * groups) + first, zeros + (r3 * groups) + first, lanes, s3);
        }

        sums[0] = Vector512.Sum(s0);
        sums[1] = Vector512.Sum(s1);
        sums[2] = Vector512.Sum(s2);
        sums[3] = Vector512.Sum(s3);
    }

    /// <summary>Σ over the eight codes of each lane of code · x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Block<TCodes>(byte* codes, float* x)
        where TCodes : struct, ICodeWidth
    {
        // The table repeats for fewer than 4 bits, so that the neighbour's bits in an index do not matter.
        Vector512<float> values = Vector512.ConvertToSingle(Vector512<int>.Indices & Vector512.Create((1 << TCodes.Bits) - 1));
        Vector512<uint> word = TCodes.Load(codes);
        Vector512<float> sum = Avx512F.PermuteVar16x32(values, word.AsInt32()) * Vector512.Load(x);
        sum = Term<TCodes>(values, word, x, 1, sum);
        sum = Term<TCodes>(values, word, x, 2, sum);
        sum = Term<TCodes>(values, word, x, 3, sum);
        sum = Term<TCodes>(values, word, x, 4, sum);
        sum = Term<TCodes>(values, word, x, 5, sum);
        sum = Term<TCodes>(values, word, x, 6, sum);
        return Term<TCodes>(values, word, x, 7, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Term<TCodes>(Vector512<float> values, Vector512<uint> word, float* x, int j, Vector512<float> sum)
        where TCodes : struct, ICodeWidth
    {
        Vector512<int> index = (word >>> (TCodes.Bits * j)).AsInt32();
        return Vector512.FusedMultiplyAdd(Avx512F.PermuteVar16x32(values, index), Vector512.Load(x + (16 * j)), sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Scaled(Vector512<float> products, Vector512<float> sum, float* scale, byte* zero, Vector512<float> total) =>
        Vector512.FusedMultiplyAdd(Vector512.FusedMultiplyAdd(Vector512.Create(-(float)*zero), sum, products), Vector512.Create(*scale), total);

    /// <summary>The same with a group for each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Scaled(
        Vector512<float> products, Vector512<float> sum, float* scale, byte* zero, Vector512<int> lanes, Vector512<float> total)
    {
        Vector512<int> zeros = Avx512F.PermuteVar16x32(Avx512F.ConvertToVector512Int32(Vector128.Load(zero)), lanes);
        Vector512<float> centred = Vector512.FusedMultiplyAdd(-Vector512.ConvertToSingle(zeros), sum, products);
        return Vector512.FusedMultiplyAdd(centred, Avx512F.PermuteVar16x32(Vector512.Load(scale), lanes), total);
    }
}
