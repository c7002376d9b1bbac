using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>6 × 16 block of C in 12 of the 16 registers of AVX2.</summary>
internal readonly unsafe struct MicroKernel256 : IMicroKernel
{
    public static int Rows => 6;

    public static int Columns => 16;

    public static void Multiply(float* a, float* b, int k, float alpha, bool accumulate, float* c, long stride)
    {
        Vector256<float> c0a = default, c0b = default;
        Vector256<float> c1a = default, c1b = default;
        Vector256<float> c2a = default, c2b = default;
        Vector256<float> c3a = default, c3b = default;
        Vector256<float> c4a = default, c4b = default;
        Vector256<float> c5a = default, c5b = default;
        for (; k > 0; k--)
        {
            Vector256<float> ba = Vector256.Load(b);
            Vector256<float> bb = Vector256.Load(b + 8);
            Vector256<float> a0 = Vector256.Create(a[0]);
            c0a = Vector256.FusedMultiplyAdd(a0, ba, c0a);
            c0b = Vector256.FusedMultiplyAdd(a0, bb, c0b);
            Vector256<float> a1 = Vector256.Create(a[1]);
            c1a = Vector256.FusedMultiplyAdd(a1, ba, c1a);
            c1b = Vector256.FusedMultiplyAdd(a1, bb, c1b);
            Vector256<float> a2 = Vector256.Create(a[2]);
            c2a = Vector256.FusedMultiplyAdd(a2, ba, c2a);
            c2b = Vector256.FusedMultiplyAdd(a2, bb, c2b);
            Vector256<float> a3 = Vector256.Create(a[3]);
            c3a = Vector256.FusedMultiplyAdd(a3, ba, c3a);
            c3b = Vector256.FusedMultiplyAdd(a3, bb, c3b);
            Vector256<float> a4 = Vector256.Create(a[4]);
            c4a = Vector256.FusedMultiplyAdd(a4, ba, c4a);
            c4b = Vector256.FusedMultiplyAdd(a4, bb, c4b);
            Vector256<float> a5 = Vector256.Create(a[5]);
            c5a = Vector256.FusedMultiplyAdd(a5, ba, c5a);
            c5b = Vector256.FusedMultiplyAdd(a5, bb, c5b);
            a += 6;
            b += 16;
        }

        Store(c, c0a, c0b, alpha, accumulate);
        Store(c + stride, c1a, c1b, alpha, accumulate);
        Store(c + (2 * stride), c2a, c2b, alpha, accumulate);
        Store(c + (3 * stride), c3a, c3b, alpha, accumulate);
        Store(c + (4 * stride), c4a, c4b, alpha, accumulate);
        Store(c + (5 * stride), c5a, c5b, alpha, accumulate);
    }

    private static void Store(float* c, Vector256<float> first, Vector256<float> second, float alpha, bool accumulate)
    {
        first *= alpha;
        second *= alpha;
        if (accumulate)
        {
            first += Vector256.Load(c);
            second += Vector256.Load(c + 8);
        }

        first.Store(c);
        second.Store(c + 8);
    }
}
