using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>Which elements dropout keeps, in vectors: the same bits as <see cref="RandomState.Uniform"/> element by element.</summary>
internal static class DropoutMask
{
    private const ulong GoldenGamma = 0x9E3779B97F4A7C15;

    /// <summary>mask[i] = all ones where Uniform(key, start + i) ≥ probability, else 0.</summary>
    public static void Keep(ulong key, long start, float probability, Span<uint> mask)
    {
        // Uniform is a multiple k of 2^−24, so that k · 2^−24 ≥ p is k ≥ ⌈p · 2^24⌉; the product is exact.
        ulong threshold = (ulong)Math.Ceiling(probability * (1 << 24));
        int i = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<ulong> step = Vector512.Create(unchecked(8 * GoldenGamma));
            Vector512<ulong> state = Vector512.Create(key) + (Vector512.Create(0UL, 1, 2, 3, 4, 5, 6, 7) + Vector512.Create((ulong)start + 1)) * Vector512.Create(GoldenGamma);
            for (; i <= mask.Length - Vector256<uint>.Count; i += Vector256<uint>.Count)
            {
                Vector512<ulong> z = state;
                z = (z ^ (z >>> 30)) * Vector512.Create(0xBF58476D1CE4E5B9);
                z = (z ^ (z >>> 27)) * Vector512.Create(0x94D049BB133111EB);
                z ^= z >>> 31;
                Vector512<ulong> kept = Vector512.GreaterThanOrEqual(z >>> 40, Vector512.Create(threshold));
                Vector256.Narrow(kept.GetLower(), kept.GetUpper()).CopyTo(mask[i..]);
                state += step;
            }
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Vector256<ulong> step = Vector256.Create(unchecked(4 * GoldenGamma));
            Vector256<ulong> state = Vector256.Create(key) + (Vector256.Create(0UL, 1, 2, 3) + Vector256.Create((ulong)start + 1)) * Vector256.Create(GoldenGamma);
            for (; i <= mask.Length - Vector128<uint>.Count; i += Vector128<uint>.Count)
            {
                Vector256<ulong> z = state;
                z = (z ^ (z >>> 30)) * Vector256.Create(0xBF58476D1CE4E5B9);
                z = (z ^ (z >>> 27)) * Vector256.Create(0x94D049BB133111EB);
                z ^= z >>> 31;
                Vector256<ulong> kept = Vector256.GreaterThanOrEqual(z >>> 40, Vector256.Create(threshold));
                Vector128.Narrow(kept.GetLower(), kept.GetUpper()).CopyTo(mask[i..]);
                state += step;
            }
        }

        for (; i < mask.Length; i++)
        {
            mask[i] = RandomState.Uniform(key, start + i) >= probability ? uint.MaxValue : 0;
        }
    }
}
