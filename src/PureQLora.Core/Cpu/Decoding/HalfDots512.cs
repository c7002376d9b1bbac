using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Products of rows of bfloat16 with one vector, without a copy in float32. Bound by memory.</summary>
internal static unsafe class HalfDots512
{
    private const int PrefetchBytes = 4096;

    /// <summary>Four rows times the vector.</summary>
    /// <param name="w">First row.</param>
    /// <param name="stride">Elements from a row to the next.</param>
    /// <param name="x">[count]</param>
    /// <param name="count">Elements.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector128<float> BFloat16(ushort* w, long stride, float* x, long count)
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector512<float> t0 = default, t1 = default, t2 = default, t3 = default;
        long i = 0;
        for (; i <= count - 32; i += 32)
        {
            ushort* at = w + i;
            Sse.Prefetch0((byte*)at + PrefetchBytes);
            Sse.Prefetch0((byte*)(at + stride) + PrefetchBytes);
            Sse.Prefetch0((byte*)(at + (2 * stride)) + PrefetchBytes);
            Sse.Prefetch0((byte*)(at + (3 * stride)) + PrefetchBytes);
            (Vector512<float> v, Vector512<float> u) = (Vector512.Load(x + i), Vector512.Load(x + i + 16));
            s0 = Vector512.FusedMultiplyAdd(Widen(at), v, s0);
            s1 = Vector512.FusedMultiplyAdd(Widen(at + stride), v, s1);
            s2 = Vector512.FusedMultiplyAdd(Widen(at + (2 * stride)), v, s2);
            s3 = Vector512.FusedMultiplyAdd(Widen(at + (3 * stride)), v, s3);
            t0 = Vector512.FusedMultiplyAdd(Widen(at + 16), u, t0);
            t1 = Vector512.FusedMultiplyAdd(Widen(at + stride + 16), u, t1);
            t2 = Vector512.FusedMultiplyAdd(Widen(at + (2 * stride) + 16), u, t2);
            t3 = Vector512.FusedMultiplyAdd(Widen(at + (3 * stride) + 16), u, t3);
        }

        Vector128<float> sums = LaneSums.Of4(s0 + t0, s1 + t1, s2 + t2, s3 + t3);
        for (; i < count; i++)
        {
            Vector128<float> values = Vector128.Create(
                (float)new BFloat16(w[i]), new BFloat16(w[i + stride]), new BFloat16(w[i + (2 * stride)]), new BFloat16(w[i + (3 * stride)]));
            sums += values * x[i];
        }

        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(ushort* w) => (Avx512F.ConvertToVector512UInt32(Vector256.Load(w)) << 16).AsSingle();
}
