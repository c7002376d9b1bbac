using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>4 × 8 block of C: 128-bit vectors, which .NET also offers where the processor has none.</summary>
internal readonly unsafe struct MicroKernel128 : IMicroKernel
{
    public static int Rows => 4;

    public static int Columns => 8;

    public static void Multiply(float* a, float* b, int k, float alpha, bool accumulate, float* c, long stride)
    {
        Vector128<float> c0a = default, c0b = default;
        Vector128<float> c1a = default, c1b = default;
        Vector128<float> c2a = default, c2b = default;
        Vector128<float> c3a = default, c3b = default;
        for (; k > 0; k--)
        {
            Vector128<float> ba = Vector128.Load(b);
            Vector128<float> bb = Vector128.Load(b + 4);
            Vector128<float> a0 = Vector128.Create(a[0]);
            c0a = Vector128.FusedMultiplyAdd(a0, ba, c0a);
            c0b = Vector128.FusedMultiplyAdd(a0, bb, c0b);
            Vector128<float> a1 = Vector128.Create(a[1]);
            c1a = Vector128.FusedMultiplyAdd(a1, ba, c1a);
            c1b = Vector128.FusedMultiplyAdd(a1, bb, c1b);
            Vector128<float> a2 = Vector128.Create(a[2]);
            c2a = Vector128.FusedMultiplyAdd(a2, ba, c2a);
            c2b = Vector128.FusedMultiplyAdd(a2, bb, c2b);
            Vector128<float> a3 = Vector128.Create(a[3]);
            c3a = Vector128.FusedMultiplyAdd(a3, ba, c3a);
            c3b = Vector128.FusedMultiplyAdd(a3, bb, c3b);
            a += 4;
            b += 8;
        }

        Store(c, c0a, c0b, alpha, accumulate);
        Store(c + stride, c1a, c1b, alpha, accumulate);
        Store(c + (2 * stride), c2a, c2b, alpha, accumulate);
        Store(c + (3 * stride), c3a, c3b, alpha, accumulate);
    }

    private static void Store(float* c, Vector128<float> first, Vector128<float> second, float alpha, bool accumulate)
    {
        first *= alpha;
        second *= alpha;
        if (accumulate)
        {
            first += Vector128.Load(c);
            second += Vector128.Load(c + 4);
        }

        first.Store(c);
        second.Store(c + 4);
    }
}
