using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>
/// Products of quantised rows with one vector, straight from the packed codes:
/// y(n) = Σ over groups of scale · (Σ code · x − zero · Σ x), or of scale · Σ level(code) · x. Bound by memory where the groups are of
/// 128 or more.
/// </summary>
internal static unsafe class PackedDots512
{
    /// <summary>How far ahead codes are asked for; a row is short of what the processor foresees by itself.</summary>
    private const int PrefetchBytes = 4096;

    /// <summary>Four rows times the vector, operands exact.</summary>
    /// <param name="rows">The weight.</param>
    /// <param name="row">First of the four rows.</param>
    /// <param name="step">Distance of the rows.</param>
    /// <param name="x">The vector as <see cref="BlockedVector"/> arranges it.</param>
    /// <typeparam name="TCodes">Width of the codes, at most 4 bits.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector128<float> Exact<TCodes>(in PackedRows rows, long row, long step, float* x)
        where TCodes : struct, ICodeWidth
    {
        (long stride, long groups) = (step * rows.RowBytes, step * rows.Groups);
        byte* codes = rows.Codes + (row * rows.RowBytes);
        float* scales = rows.Scales + (row * rows.Groups);
        byte* zeros = rows.Zeros + (row * rows.Groups);
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector512<float> levels = Vector512.Load(rows.Levels);
        bool wholeBlocks = rows.HasWholeBlocks;
        int blocks = rows.Blocks;
        for (int block = 0; block < blocks; block++, x += BlockedVector.Length, codes += 16 * TCodes.Bits)
        {
            Sse.Prefetch0(codes + PrefetchBytes);
            Sse.Prefetch0(codes + stride + PrefetchBytes);
            Sse.Prefetch0(codes + (2 * stride) + PrefetchBytes);
            Sse.Prefetch0(codes + (3 * stride) + PrefetchBytes);

            Vector512<float> t0 = Block<TCodes>(codes, levels, x), t1 = Block<TCodes>(codes + stride, levels, x);
            Vector512<float> t2 = Block<TCodes>(codes + (2 * stride), levels, x), t3 = Block<TCodes>(codes + (3 * stride), levels, x);
            Vector512<float> sum = Vector512.Load(x + PackedRows.Block);
            int* group = (int*)x + PackedRows.Block + 16;
            float* scale = scales + *group;
            byte* zero = zeros + *group;
            if (wholeBlocks)
            {
                s0 = Scaled<TCodes>(t0, sum, scale, zero, s0);
                s1 = Scaled<TCodes>(t1, sum, scale + groups, zero + groups, s1);
                s2 = Scaled<TCodes>(t2, sum, scale + (2 * groups), zero + (2 * groups), s2);
                s3 = Scaled<TCodes>(t3, sum, scale + (3 * groups), zero + (3 * groups), s3);
                continue;
            }

            Vector512<int> lanes = Vector512.Load(group) - Vector512.Create(*group);
            s0 = Scaled<TCodes>(t0, sum, scale, zero, lanes, s0);
            s1 = Scaled<TCodes>(t1, sum, scale + groups, zero + groups, lanes, s1);
            s2 = Scaled<TCodes>(t2, sum, scale + (2 * groups), zero + (2 * groups), lanes, s2);
            s3 = Scaled<TCodes>(t3, sum, scale + (3 * groups), zero + (3 * groups), lanes, s3);
        }

        return LaneSums.Of4(s0, s1, s2, s3);
    }

    /// <summary>Σ over the eight codes of each lane of level(code) · x, or of (1 + code / 2^bits) · x: the codes as the upper bits of a mantissa.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Block<TCodes>(byte* codes, Vector512<float> levels, float* x)
        where TCodes : struct, ICodeWidth
    {
        Vector512<uint> word = TCodes.Load(codes);
        Vector512<float> sum = Value<TCodes>(word, levels, 0) * Vector512.Load(x);
        sum = Vector512.FusedMultiplyAdd(Value<TCodes>(word, levels, 1), Vector512.Load(x + 16), sum);
        sum = Vector512.FusedMultiplyAdd(Value<TCodes>(word, levels, 2), Vector512.Load(x + 32), sum);
        sum = Vector512.FusedMultiplyAdd(Value<TCodes>(word, levels, 3), Vector512.Load(x + 48), sum);
        sum = Vector512.FusedMultiplyAdd(Value<TCodes>(word, levels, 4), Vector512.Load(x + 64), sum);
        sum = Vector512.FusedMultiplyAdd(Value<TCodes>(word, levels, 5), Vector512.Load(x + 80), sum);
        sum = Vector512.FusedMultiplyAdd(Value<TCodes>(word, levels, 6), Vector512.Load(x + 96), sum);
        return Vector512.FusedMultiplyAdd(Value<TCodes>(word, levels, 7), Vector512.Load(x + 112), sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Value<TCodes>(Vector512<uint> word, Vector512<float> levels, int j)
        where TCodes : struct, ICodeWidth
    {
        if (TCodes.HasBook)
        {
            // Only the lowest four bits of an index count.
            return Avx512F.PermuteVar16x32(levels, (word >>> (4 * j)).AsInt32());
        }

        int up = 23 - (TCodes.Bits * (j + 1));
        Vector512<uint> mantissa = Vector512.Create(((1u << TCodes.Bits) - 1) << (23 - TCodes.Bits));
        Vector512<uint> one = Vector512.Create(0x3F800000u);
        return (((up >= 0 ? word << up : word >>> -up) & mantissa) | one).AsSingle();
    }

    /// <summary>Adds scale · Σ (code − zero) · x, or scale · Σ level(code) · x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Scaled<TCodes>(Vector512<float> products, Vector512<float> sum, float* scale, byte* zero, Vector512<float> total)
        where TCodes : struct, ICodeWidth
    {
        if (TCodes.HasBook)
        {
            return Vector512.FusedMultiplyAdd(products, Vector512.Create(*scale), total);
        }

        float unit = 1 << TCodes.Bits;
        Vector512<float> centred = Vector512.FusedMultiplyAdd(Vector512.Create(-1f - (*zero / unit)), sum, products);
        return Vector512.FusedMultiplyAdd(centred, Vector512.Create(*scale * unit), total);
    }

    /// <summary>The same with a group for each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Scaled<TCodes>(
        Vector512<float> products, Vector512<float> sum, float* scale, byte* zero, Vector512<int> lanes, Vector512<float> total)
        where TCodes : struct, ICodeWidth
    {
        if (TCodes.HasBook)
        {
            return Vector512.FusedMultiplyAdd(products, Avx512F.PermuteVar16x32(Vector512.Load(scale), lanes), total);
        }

        Vector512<float> unit = Vector512.Create((float)(1 << TCodes.Bits));
        Vector512<int> zeros = Avx512F.PermuteVar16x32(Avx512F.ConvertToVector512Int32(Vector128.Load(zero)), lanes);
        Vector512<float> centred = Vector512.FusedMultiplyAdd(unit, products - sum, -Vector512.ConvertToSingle(zeros) * sum);
        return Vector512.FusedMultiplyAdd(centred, Avx512F.PermuteVar16x32(Vector512.Load(scale), lanes), total);
    }
}
