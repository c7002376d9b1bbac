namespace PureQLora.Core;

/// <summary>
/// A counter-based random source. Each consumer draws one <see cref="NextKey"/> and derives element i from (key, i), so results
/// depend neither on threads nor on the backend, and a pass is repeated exactly by setting <see cref="Counter"/> back.
/// </summary>
/// <remarks>Mixing function: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, fig. 17).</remarks>
/// <param name="seed">Chooses the stream.</param>
/// <param name="counter">Keys drawn so far.</param>
public sealed class RandomState(ulong seed, ulong counter = 0)
{
    private const ulong GoldenGamma = 0x9E3779B97F4A7C15;

    /// <summary>Chooses the stream.</summary>
    public ulong Seed { get; set; } = seed;

    /// <summary>Keys drawn so far.</summary>
    public ulong Counter { get; set; } = counter;

    /// <summary>A fresh key.</summary>
    public ulong NextKey() => Mix(Mix(Seed) + (++Counter * GoldenGamma));

    /// <summary>64 random bits of element <paramref name="index"/> under a key.</summary>
    public static ulong Bits(ulong key, long index) => Mix(key + (unchecked((ulong)index + 1) * GoldenGamma));

    /// <summary>Uniform in [0, 1) with 24 bits, for element <paramref name="index"/> under a key.</summary>
    public static float Uniform(ulong key, long index) => (Bits(key, index) >> 40) * (1f / (1 << 24));

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
