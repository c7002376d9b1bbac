using System.Runtime.CompilerServices;

namespace PureQLora.Core;

/// <summary>The exponential function over vectors.</summary>
/// <typeparam name="TLanes">Width.</typeparam>
/// <typeparam name="TVector">Vector of that width.</typeparam>
internal static class Exponential<TLanes, TVector>
    where TLanes : struct, ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>Below this the result is 0: it would be subnormal.</summary>
    public const float Underflow = -87.33654f;

    /// <summary>e^x for x ≤ 88, error below 1.5 ulp; 0 below <see cref="Underflow"/>; NaN stays NaN.</summary>
    /// <remarks>
    /// x = n·ln 2 + r with |r| ≤ ln 2 / 2, Taylor's polynomial of degree 7 for e^r (remainder |r|⁸ / 8! &lt; 2⁻²⁷), and n added to the
    /// exponent. ln 2 is split in two so that n·ln 2 is subtracted without loss (Cody and Waite, 1980).
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Of(TVector x)
    {
        // Adding 1.5 · 2²³ rounds to an integer, which then stands in the low bits of the sum.
        TVector shift = TLanes.Broadcast(12582912f);
        TVector shifted = TLanes.MultiplyAdd(x, TLanes.Broadcast(1.44269504f), shift);
        TVector n = TLanes.Subtract(shifted, shift);
        TVector r = TLanes.MultiplyAdd(n, TLanes.Broadcast(-0.693359375f), x);
        r = TLanes.MultiplyAdd(n, TLanes.Broadcast(2.12194440e-4f), r);
        TVector p = TLanes.Broadcast(1f / 5040f);
        p = TLanes.MultiplyAdd(p, r, TLanes.Broadcast(1f / 720f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Broadcast(1f / 120f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Broadcast(1f / 24f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Broadcast(1f / 6f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Broadcast(0.5f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Broadcast(1f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Broadcast(1f));
        return TLanes.SelectLess(x, TLanes.Broadcast(Underflow), default, TLanes.AddToExponent(p, shifted));
    }

    /// <summary>1 / (1 + e^−x), from e^−|x| so that nothing overflows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Sigmoid(TVector x)
    {
        TVector one = TLanes.Broadcast(1f);
        TVector e = Of(TLanes.Subtract(default, TLanes.Abs(x)));
        TVector numerator = TLanes.SelectLess(x, default, e, one);
        return TLanes.Divide(numerator, TLanes.Add(one, e));
    }
}
