using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>AVX-512: tiles of 14 × 32, 8 × 32 and 4 × 32 in at most 31 of the 32 registers.</summary>
/// <remarks>Written out so that every accumulator is a register; the compiler unrolls no such loop. Compiled at once, not by tiers.</remarks>
internal readonly unsafe struct MicroKernel512 : IMicroKernel
{
    public static int Columns => 32;

    public static int TallestRows => 14;

    public static int PanelHeight(int rowsLeft) => rowsLeft > 16 || rowsLeft is > 8 and <= 14 ? 14 : rowsLeft > 4 ? 8 : 4;

    public static void Tile(int height, float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride)
    {
        switch (height)
        {
            case 14:
                Tile14(a, b, k, alpha, accumulate, c, stride);
                break;
            case 8:
                Tile8(a, b, k, alpha, accumulate, c, stride);
                break;
            default:
                Tile4(a, b, k, alpha, accumulate, c, stride);
                break;
        }
    }

    public static void Dots(int rows, float* left, long stride, float** right, long k, float* sums)
    {
        switch (rows)
        {
            case 4:
                DotsOf4(left, stride, right, k, sums);
                break;
            case 2:
                DotsOf2(left, stride, right, k, sums);
                break;
            default:
                DotsOf1(left, right, k, sums);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile14(float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride)
    {
        Vector512<float> l0 = default, r0 = default;
        Vector512<float> l1 = default, r1 = default;
        Vector512<float> l2 = default, r2 = default;
        Vector512<float> l3 = default, r3 = default;
        Vector512<float> l4 = default, r4 = default;
        Vector512<float> l5 = default, r5 = default;
        Vector512<float> l6 = default, r6 = default;
        Vector512<float> l7 = default, r7 = default;
        Vector512<float> l8 = default, r8 = default;
        Vector512<float> l9 = default, r9 = default;
        Vector512<float> l10 = default, r10 = default;
        Vector512<float> l11 = default, r11 = default;
        Vector512<float> l12 = default, r12 = default;
        Vector512<float> l13 = default, r13 = default;
        for (long p = 0; p < k; p++, a += 14, b += 32)
        {
            Vector512<float> left = Vector512.Load(b), right = Vector512.Load(b + 16);
            Add(Vector512.Create(a[0]), left, right, ref l0, ref r0);
            Add(Vector512.Create(a[1]), left, right, ref l1, ref r1);
            Add(Vector512.Create(a[2]), left, right, ref l2, ref r2);
            Add(Vector512.Create(a[3]), left, right, ref l3, ref r3);
            Add(Vector512.Create(a[4]), left, right, ref l4, ref r4);
            Add(Vector512.Create(a[5]), left, right, ref l5, ref r5);
            Add(Vector512.Create(a[6]), left, right, ref l6, ref r6);
            Add(Vector512.Create(a[7]), left, right, ref l7, ref r7);
            Add(Vector512.Create(a[8]), left, right, ref l8, ref r8);
            Add(Vector512.Create(a[9]), left, right, ref l9, ref r9);
            Add(Vector512.Create(a[10]), left, right, ref l10, ref r10);
            Add(Vector512.Create(a[11]), left, right, ref l11, ref r11);
            Add(Vector512.Create(a[12]), left, right, ref l12, ref r12);
            Add(Vector512.Create(a[13]), left, right, ref l13, ref r13);
        }

        Store(l0, r0, alpha, accumulate, c);
        Store(l1, r1, alpha, accumulate, c + stride);
        Store(l2, r2, alpha, accumulate, c + (2 * stride));
        Store(l3, r3, alpha, accumulate, c + (3 * stride));
        Store(l4, r4, alpha, accumulate, c + (4 * stride));
        Store(l5, r5, alpha, accumulate, c + (5 * stride));
        Store(l6, r6, alpha, accumulate, c + (6 * stride));
        Store(l7, r7, alpha, accumulate, c + (7 * stride));
        Store(l8, r8, alpha, accumulate, c + (8 * stride));
        Store(l9, r9, alpha, accumulate, c + (9 * stride));
        Store(l10, r10, alpha, accumulate, c + (10 * stride));
        Store(l11, r11, alpha, accumulate, c + (11 * stride));
        Store(l12, r12, alpha, accumulate, c + (12 * stride));
        Store(l13, r13, alpha, accumulate, c + (13 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile8(float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride)
    {
        Vector512<float> l0 = default, r0 = default;
        Vector512<float> l1 = default, r1 = default;
        Vector512<float> l2 = default, r2 = default;
        Vector512<float> l3 = default, r3 = default;
        Vector512<float> l4 = default, r4 = default;
        Vector512<float> l5 = default, r5 = default;
        Vector512<float> l6 = default, r6 = default;
        Vector512<float> l7 = default, r7 = default;
        for (long p = 0; p < k; p++, a += 8, b += 32)
        {
            Vector512<float> left = Vector512.Load(b), right = Vector512.Load(b + 16);
            Add(Vector512.Create(a[0]), left, right, ref l0, ref r0);
            Add(Vector512.Create(a[1]), left, right, ref l1, ref r1);
            Add(Vector512.Create(a[2]), left, right, ref l2, ref r2);
            Add(Vector512.Create(a[3]), left, right, ref l3, ref r3);
            Add(Vector512.Create(a[4]), left, right, ref l4, ref r4);
            Add(Vector512.Create(a[5]), left, right, ref l5, ref r5);
            Add(Vector512.Create(a[6]), left, right, ref l6, ref r6);
            Add(Vector512.Create(a[7]), left, right, ref l7, ref r7);
        }

        Store(l0, r0, alpha, accumulate, c);
        Store(l1, r1, alpha, accumulate, c + stride);
        Store(l2, r2, alpha, accumulate, c + (2 * stride));
        Store(l3, r3, alpha, accumulate, c + (3 * stride));
        Store(l4, r4, alpha, accumulate, c + (4 * stride));
        Store(l5, r5, alpha, accumulate, c + (5 * stride));
        Store(l6, r6, alpha, accumulate, c + (6 * stride));
        Store(l7, r7, alpha, accumulate, c + (7 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4(float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride)
    {
        Vector512<float> l0 = default, r0 = default;
        Vector512<float> l1 = default, r1 = default;
        Vector512<float> l2 = default, r2 = default;
        Vector512<float> l3 = default, r3 = default;
        for (long p = 0; p < k; p++, a += 4, b += 32)
        {
            Vector512<float> left = Vector512.Load(b), right = Vector512.Load(b + 16);
            Add(Vector512.Create(a[0]), left, right, ref l0, ref r0);
            Add(Vector512.Create(a[1]), left, right, ref l1, ref r1);
            Add(Vector512.Create(a[2]), left, right, ref l2, ref r2);
            Add(Vector512.Create(a[3]), left, right, ref l3, ref r3);
        }

        Store(l0, r0, alpha, accumulate, c);
        Store(l1, r1, alpha, accumulate, c + stride);
        Store(l2, r2, alpha, accumulate, c + (2 * stride));
        Store(l3, r3, alpha, accumulate, c + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector512<float> a, Vector512<float> left, Vector512<float> right, ref Vector512<float> l, ref Vector512<float> r)
    {
        l = Vector512.FusedMultiplyAdd(a, left, l);
        r = Vector512.FusedMultiplyAdd(a, right, r);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<float> l, Vector512<float> r, float alpha, bool accumulate, float* c)
    {
        Vector512<float> factor = Vector512.Create(alpha);
        if (accumulate)
        {
            Vector512.FusedMultiplyAdd(l, factor, Vector512.Load(c)).Store(c);
            Vector512.FusedMultiplyAdd(r, factor, Vector512.Load(c + 16)).Store(c + 16);
        }
        else
        {
            (l * factor).Store(c);
            (r * factor).Store(c + 16);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DotsOf4(float* left, long stride, float** right, long k, float* sums)
    {
        float* w0 = right[0], w1 = right[1], w2 = right[2], w3 = right[3];
        Vector512<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<float> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<float> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<float> s30 = default, s31 = default, s32 = default, s33 = default;
        long p = 0;
        for (; p <= k - 16; p += 16)
        {
            Vector512<float> v0 = Vector512.Load(w0 + p), v1 = Vector512.Load(w1 + p), v2 = Vector512.Load(w2 + p), v3 = Vector512.Load(w3 + p);
            Vector512<float> x0 = Vector512.Load(left + p);
            Add(x0, v0, v1, ref s00, ref s01);
            Add(x0, v2, v3, ref s02, ref s03);
            Vector512<float> x1 = Vector512.Load(left + stride + p);
            Add(x1, v0, v1, ref s10, ref s11);
            Add(x1, v2, v3, ref s12, ref s13);
            Vector512<float> x2 = Vector512.Load(left + (2 * stride) + p);
            Add(x2, v0, v1, ref s20, ref s21);
            Add(x2, v2, v3, ref s22, ref s23);
            Vector512<float> x3 = Vector512.Load(left + (3 * stride) + p);
            Add(x3, v0, v1, ref s30, ref s31);
            Add(x3, v2, v3, ref s32, ref s33);
        }

        Finish(left, right, p, k, s00, s01, s02, s03, sums);
        Finish(left + stride, right, p, k, s10, s11, s12, s13, sums + 4);
        Finish(left + (2 * stride), right, p, k, s20, s21, s22, s23, sums + 8);
        Finish(left + (3 * stride), right, p, k, s30, s31, s32, s33, sums + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DotsOf2(float* left, long stride, float** right, long k, float* sums)
    {
        float* w0 = right[0], w1 = right[1], w2 = right[2], w3 = right[3];
        Vector512<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<float> s10 = default, s11 = default, s12 = default, s13 = default;
        long p = 0;
        for (; p <= k - 16; p += 16)
        {
            Vector512<float> v0 = Vector512.Load(w0 + p), v1 = Vector512.Load(w1 + p), v2 = Vector512.Load(w2 + p), v3 = Vector512.Load(w3 + p);
            Vector512<float> x0 = Vector512.Load(left + p);
            Add(x0, v0, v1, ref s00, ref s01);
            Add(x0, v2, v3, ref s02, ref s03);
            Vector512<float> x1 = Vector512.Load(left + stride + p);
            Add(x1, v0, v1, ref s10, ref s11);
            Add(x1, v2, v3, ref s12, ref s13);
        }

        Finish(left, right, p, k, s00, s01, s02, s03, sums);
        Finish(left + stride, right, p, k, s10, s11, s12, s13, sums + 4);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DotsOf1(float* left, float** right, long k, float* sums)
    {
        float* w0 = right[0], w1 = right[1], w2 = right[2], w3 = right[3];
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector512<float> t0 = default, t1 = default, t2 = default, t3 = default;
        long p = 0;
        for (; p <= k - 32; p += 32)
        {
            Vector512<float> x = Vector512.Load(left + p), y = Vector512.Load(left + p + 16);
            Add(x, Vector512.Load(w0 + p), Vector512.Load(w1 + p), ref s0, ref s1);
            Add(x, Vector512.Load(w2 + p), Vector512.Load(w3 + p), ref s2, ref s3);
            Add(y, Vector512.Load(w0 + p + 16), Vector512.Load(w1 + p + 16), ref t0, ref t1);
            Add(y, Vector512.Load(w2 + p + 16), Vector512.Load(w3 + p + 16), ref t2, ref t3);
        }

        Finish(left, right, p, k, s0 + t0, s1 + t1, s2 + t2, s3 + t3, sums);
    }

    /// <summary>Sums the lanes and adds the terms that fill no vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(
        float* left, float** right, long p, long k, Vector512<float> s0, Vector512<float> s1, Vector512<float> s2, Vector512<float> s3, float* sums)
    {
        Vector128<float> total = Vector128.Create(Vector512.Sum(s0), Vector512.Sum(s1), Vector512.Sum(s2), Vector512.Sum(s3));
        for (; p < k; p++)
        {
            total += Vector128.Create(right[0][p], right[1][p], right[2][p], right[3][p]) * left[p];
        }

        (Vector128.Load(sums) + total).Store(sums);
    }
}
