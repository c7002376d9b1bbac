using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>14 × 32 block of C in 28 of the 32 registers of AVX-512; two hold B, one a broadcast of A.</summary>
internal readonly unsafe struct MicroKernel512 : IMicroKernel
{
    public static int Rows => 14;

    public static int Columns => 32;

    public static void Multiply(float* a, float* b, int k, float alpha, bool accumulate, float* c, long stride)
    {
        Vector512<float> c0a = default, c0b = default;
        Vector512<float> c1a = default, c1b = default;
        Vector512<float> c2a = default, c2b = default;
        Vector512<float> c3a = default, c3b = default;
        Vector512<float> c4a = default, c4b = default;
        Vector512<float> c5a = default, c5b = default;
        Vector512<float> c6a = default, c6b = default;
        Vector512<float> c7a = default, c7b = default;
        Vector512<float> c8a = default, c8b = default;
        Vector512<float> c9a = default, c9b = default;
        Vector512<float> c10a = default, c10b = default;
        Vector512<float> c11a = default, c11b = default;
        Vector512<float> c12a = default, c12b = default;
        Vector512<float> c13a = default, c13b = default;
        for (; k > 0; k--)
        {
            Vector512<float> ba = Vector512.Load(b);
            Vector512<float> bb = Vector512.Load(b + 16);
            Vector512<float> a0 = Vector512.Create(a[0]);
            c0a = Vector512.FusedMultiplyAdd(a0, ba, c0a);
            c0b = Vector512.FusedMultiplyAdd(a0, bb, c0b);
            Vector512<float> a1 = Vector512.Create(a[1]);
            c1a = Vector512.FusedMultiplyAdd(a1, ba, c1a);
            c1b = Vector512.FusedMultiplyAdd(a1, bb, c1b);
            Vector512<float> a2 = Vector512.Create(a[2]);
            c2a = Vector512.FusedMultiplyAdd(a2, ba, c2a);
            c2b = Vector512.FusedMultiplyAdd(a2, bb, c2b);
            Vector512<float> a3 = Vector512.Create(a[3]);
            c3a = Vector512.FusedMultiplyAdd(a3, ba, c3a);
            c3b = Vector512.FusedMultiplyAdd(a3, bb, c3b);
            Vector512<float> a4 = Vector512.Create(a[4]);
            c4a = Vector512.FusedMultiplyAdd(a4, ba, c4a);
            c4b = Vector512.FusedMultiplyAdd(a4, bb, c4b);
            Vector512<float> a5 = Vector512.Create(a[5]);
            c5a = Vector512.FusedMultiplyAdd(a5, ba, c5a);
            c5b = Vector512.FusedMultiplyAdd(a5, bb, c5b);
            Vector512<float> a6 = Vector512.Create(a[6]);
            c6a = Vector512.FusedMultiplyAdd(a6, ba, c6a);
            c6b = Vector512.FusedMultiplyAdd(a6, bb, c6b);
            Vector512<float> a7 = Vector512.Create(a[7]);
            c7a = Vector512.FusedMultiplyAdd(a7, ba, c7a);
            c7b = Vector512.FusedMultiplyAdd(a7, bb, c7b);
            Vector512<float> a8 = Vector512.Create(a[8]);
            c8a = Vector512.FusedMultiplyAdd(a8, ba, c8a);
            c8b = Vector512.FusedMultiplyAdd(a8, bb, c8b);
            Vector512<float> a9 = Vector512.Create(a[9]);
            c9a = Vector512.FusedMultiplyAdd(a9, ba, c9a);
            c9b = Vector512.FusedMultiplyAdd(a9, bb, c9b);
            Vector512<float> a10 = Vector512.Create(a[10]);
            c10a = Vector512.FusedMultiplyAdd(a10, ba, c10a);
            c10b = Vector512.FusedMultiplyAdd(a10, bb, c10b);
            Vector512<float> a11 = Vector512.Create(a[11]);
            c11a = Vector512.FusedMultiplyAdd(a11, ba, c11a);
            c11b = Vector512.FusedMultiplyAdd(a11, bb, c11b);
            Vector512<float> a12 = Vector512.Create(a[12]);
            c12a = Vector512.FusedMultiplyAdd(a12, ba, c12a);
            c12b = Vector512.FusedMultiplyAdd(a12, bb, c12b);
            Vector512<float> a13 = Vector512.Create(a[13]);
            c13a = Vector512.FusedMultiplyAdd(a13, ba, c13a);
            c13b = Vector512.FusedMultiplyAdd(a13, bb, c13b);
            a += 14;
            b += 32;
        }

        Store(c, c0a, c0b, alpha, accumulate);
        Store(c + stride, c1a, c1b, alpha, accumulate);
        Store(c + (2 * stride), c2a, c2b, alpha, accumulate);
        Store(c + (3 * stride), c3a, c3b, alpha, accumulate);
        Store(c + (4 * stride), c4a, c4b, alpha, accumulate);
        Store(c + (5 * stride), c5a, c5b, alpha, accumulate);
        Store(c + (6 * stride), c6a, c6b, alpha, accumulate);
        Store(c + (7 * stride), c7a, c7b, alpha, accumulate);
        Store(c + (8 * stride), c8a, c8b, alpha, accumulate);
        Store(c + (9 * stride), c9a, c9b, alpha, accumulate);
        Store(c + (10 * stride), c10a, c10b, alpha, accumulate);
        Store(c + (11 * stride), c11a, c11b, alpha, accumulate);
        Store(c + (12 * stride), c12a, c12b, alpha, accumulate);
        Store(c + (13 * stride), c13a, c13b, alpha, accumulate);
    }

    private static void Store(float* c, Vector512<float> first, Vector512<float> second, float alpha, bool accumulate)
    {
        first *= alpha;
        second *= alpha;
        if (accumulate)
        {
            first += Vector512.Load(c);
            second += Vector512.Load(c + 16);
        }

        first.Store(c);
        second.Store(c + 16);
    }
}
