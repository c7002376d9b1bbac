using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Sums of the lanes of vectors, four vectors at once.</summary>
internal static unsafe class LaneSums
{
    /// <summary>The sums of four vectors that lie one behind the other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Of4(float* vectors) =>
        Of4(Vector512.Load(vectors), Vector512.Load(vectors + 16), Vector512.Load(vectors + 32), Vector512.Load(vectors + 48));

    /// <summary>The sums of four vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Of4(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        Vector512<float> ab = Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b);                      // a b a b in each quarter
        Vector512<float> cd = Avx512F.UnpackLow(c, d) + Avx512F.UnpackHigh(c, d);
        Vector512<float> abcd = Avx512F.UnpackLow(ab.AsDouble(), cd.AsDouble()).AsSingle()
            + Avx512F.UnpackHigh(ab.AsDouble(), cd.AsDouble()).AsSingle();                             // a b c d in each quarter
        Vector256<float> halves = abcd.GetLower() + abcd.GetUpper();
        return halves.GetLower() + halves.GetUpper();
    }
}
