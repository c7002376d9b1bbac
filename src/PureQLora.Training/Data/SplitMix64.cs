namespace PureQLora.Training;

/// <summary>
/// The generator behind everything that is shuffled or made up here: 64-bit state, the same numbers on every machine and runtime.
/// </summary>
/// <remarks>Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, with the constants of its Java successor.</remarks>
/// <param name="seed">Any number.</param>
public struct SplitMix64(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A generator for one of many independent streams of a seed.</summary>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="stream">Number of the stream: an epoch, an index.</param>
    public static SplitMix64 ForStream(ulong seed, ulong stream) => new(Mix(seed) ^ Mix(stream ^ 0x5851f42d4c957f2d));

    /// <summary>The next 64 random bits.</summary>
    public ulong NextUInt64() => Mix(_state += 0x9e3779b97f4a7c15);

    /// <summary>A uniform integer in 0 … bound − 1, without bias.</summary>
    /// <param name="bound">At least 1.</param>
    public int NextBelow(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bound, 1);

        // The high half of a product is uniform once the few low values that would favour some results are rejected (Lemire, arXiv:1805.10941).
        ulong rejected = (0UL - (ulong)bound) % (ulong)bound;
        ulong high;
        ulong low;
        do
        {
            high = Math.BigMul(NextUInt64(), (ulong)bound, out low);
        }
        while (low < rejected);

        return (int)high;
    }

    /// <summary>Shuffles in place (Fisher and Yates).</summary>
    public void Shuffle(Span<int> values)
    {
        for (int i = values.Length - 1; i > 0; i--)
        {
            int j = NextBelow(i + 1);
            (values[i], values[j]) = (values[j], values[i]);
        }
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
}
