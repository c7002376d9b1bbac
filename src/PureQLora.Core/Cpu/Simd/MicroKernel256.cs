using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>AVX2 with FMA: tiles of 6 × 16 and 4 × 16 in at most 15 of the 16 registers.</summary>
/// <remarks>Written out so that every accumulator is a register; the compiler unrolls no such loop. Compiled at once, not by tiers.</remarks>
internal readonly unsafe struct MicroKernel256 : IMicroKernel
{
    public static int Columns => 16;

    public static int TallestRows => 6;

    public static int PanelHeight(int rowsLeft) => rowsLeft > 8 || rowsLeft is 5 or 6 ? 6 : 4;

    public static void Tile(int height, float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride)
    {
        switch (height)
        {
            case 6:
                Tile6(a, b, k, alpha, accumulate, c, stride);
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
    private static void Tile6(float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride)
    {
        Vector256<float> l0 = default, r0 = default;
        Vector256<float> l1 = default, r1 = default;
        Vector256<float> l2 = default, r2 = default;
        Vector256<float> l3 = default, r3 = default;
        Vector256<float> l4 = default, r4 = default;
        Vector256<float> l5 = default, r5 = default;
        for (long p = 0; p < k; p++, a += 6, b += 16)
        {
            Vector256<float> left = Vector256.Load(b), right = Vector256.Load(b + 8);
            Add(Vector256.Create(a[0]), left, right, ref l0, ref r0);
            Add(Vector256.Create(a[1]), left, right, ref l1, ref r1);
            Add(Vector256.Create(a[2]), left, right, ref l2, ref r2);
            Add(Vector256.Create(a[3]), left, right, ref l3, ref r3);
            Add(Vector256.Create(a[4]), left, right, ref l4, ref r4);
            Add(Vector256.Create(a[5]), left, right, ref l5, ref r5);
        }

        Store(l0, r0, alpha, accumulate, c);
        Store(l1, r1, alpha, accumulate, c + stride);
        Store(l2, r2, alpha, accumulate, c + (2 * stride));
        Store(l3, r3, alpha, accumulate, c + (3 * stride));
        Store(l4, r4, alpha, accumulate, c + (4 * stride));
        Store(l5, r5, alpha, accumulate, c + (5 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4(float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride)
    {
        Vector256<float> l0 = default, r0 = default;
        Vector256<float> l1 = default, r1 = default;
        Vector256<float> l2 = default, r2 = default;
        Vector256<float> l3 = default, r3 = default;
        for (long p = 0; p < k; p++, a += 4, b += 16)
        {
            Vector256<float> left = Vector256.Load(b), right = Vector256.Load(b + 8);
            Add(Vector256.Create(a[0]), left, right, ref l0, ref r0);
            Add(Vector256.Create(a[1]), left, right, ref l1, ref r1);
            Add(Vector256.Create(a[2]), left, right, ref l2, ref r2);
            Add(Vector256.Create(a[3]), left, right, ref l3, ref r3);
        }

        Store(l0, r0, alpha, accumulate, c);
        Store(l1, r1, alpha, accumulate, c + stride);
        Store(l2, r2, alpha, accumulate, c + (2 * stride));
        Store(l3, r3, alpha, accumulate, c + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector256<float> a, Vector256<float> left, Vector256<float> right, ref Vector256<float> l, ref Vector256<float> r)
    {
        l = Vector256.FusedMultiplyAdd(a, left, l);
        r = Vector256.FusedMultiplyAdd(a, right, r);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<float> l, Vector256<float> r, float alpha, bool accumulate, float* c)
    {
        Vector256<float> factor = Vector256.Create(alpha);
        if (accumulate)
        {
            Vector256.FusedMultiplyAdd(l, factor, Vector256.Load(c)).Store(c);
            Vector256.FusedMultiplyAdd(r, factor, Vector256.Load(c + 8)).Store(c + 8);
        }
        else
        {
            (l * factor).Store(c);
            (r * factor).Store(c + 8);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DotsOf4(float* left, long stride, float** right, long k, float* sums)
    {
        float* w0 = right[0], w1 = right[1], w2 = right[2], w3 = right[3];
        Vector256<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector256<float> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector256<float> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector256<float> s30 = default, s31 = default, s32 = default, s33 = default;
        long p = 0;
        for (; p <= k - 8; p += 8)
        {
            Vector256<float> v0 = Vector256.Load(w0 + p), v1 = Vector256.Load(w1 + p), v2 = Vector256.Load(w2 + p), v3 = Vector256.Load(w3 + p);
            Vector256<float> x0 = Vector256.Load(left + p);
            Add(x0, v0, v1, ref s00, ref s01);
            Add(x0, v2, v3, ref s02, ref s03);
            Vector256<float> x1 = Vector256.Load(left + stride + p);
            Add(x1, v0, v1, ref s10, ref s11);
            Add(x1, v2, v3, ref s12, ref s13);
            Vector256<float> x2 = Vector256.Load(left + (2 * stride) + p);
            Add(x2, v0, v1, ref s20, ref s21);
            Add(x2, v2, v3, ref s22, ref s23);
            Vector256<float> x3 = Vector256.Load(left + (3 * stride) + p);
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
        Vector256<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector256<float> s10 = default, s11 = default, s12 = default, s13 = default;
        long p = 0;
        for (; p <= k - 8; p += 8)
        {
            Vector256<float> v0 = Vector256.Load(w0 + p), v1 = Vector256.Load(w1 + p), v2 = Vector256.Load(w2 + p), v3 = Vector256.Load(w3 + p);
            Vector256<float> x0 = Vector256.Load(left + p);
            Add(x0, v0, v1, ref s00, ref s01);
            Add(x0, v2, v3, ref s02, ref s03);
            Vector256<float> x1 = Vector256.Load(left + stride + p);
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
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector256<float> t0 = default, t1 = default, t2 = default, t3 = default;
        long p = 0;
        for (; p <= k - 16; p += 16)
        {
            Vector256<float> x = Vector256.Load(left + p), y = Vector256.Load(left + p + 8);
            Add(x, Vector256.Load(w0 + p), Vector256.Load(w1 + p), ref s0, ref s1);
            Add(x, Vector256.Load(w2 + p), Vector256.Load(w3 + p), ref s2, ref s3);
            Add(y, Vector256.Load(w0 + p + 8), Vector256.Load(w1 + p + 8), ref t0, ref t1);
            Add(y, Vector256.Load(w2 + p + 8), Vector256.Load(w3 + p + 8), ref t2, ref t3);
        }

        Finish(left, right, p, k, s0 + t0, s1 + t1, s2 + t2, s3 + t3, sums);
    }

    /// <summary>Sums the lanes and adds the terms that fill no vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(
        float* left, float** right, long p, long k, Vector256<float> s0, Vector256<float> s1, Vector256<float> s2, Vector256<float> s3, float* sums)
    {
        Vector128<float> total = Vector128.Create(Vector256.Sum(s0), Vector256.Sum(s1), Vector256.Sum(s2), Vector256.Sum(s3));
        for (; p < k; p++)
        {
            total += Vector128.Create(right[0][p], right[1][p], right[2][p], right[3][p]) * left[p];
        }

        (Vector128.Load(sums) + total).Store(sums);
    }
}
