namespace PureQLora.Kernels.Simulation.Counting;

/// <summary>How an access of a warp to shared memory falls onto its 32 banks of 4 bytes.</summary>
internal static class BankConflicts
{
    private const int Banks = 32;

    /// <summary>
    /// How often the banks have to answer: as many lanes at a time as fetch 128 bytes (32 of up to 4 bytes, 16 of 8, 8 of 16), and once for
    /// every different word that those want of the same bank. Without conflicts it is once for every such set of lanes.
    /// </summary>
    /// <param name="offsets">Of every lane the first byte, -1 for none.</param>
    /// <param name="size">Bytes a lane.</param>
    public static (int Wavefronts, int Ideal) Wavefronts(ReadOnlySpan<int> offsets, int size)
    {
        int lanesAtOnce = Math.Clamp(Banks * 4 / Math.Max(size, 4), 1, offsets.Length);
        int wavefronts = 0;
        int ideal = 0;
        for (int first = 0; first < offsets.Length; first += lanesAtOnce)
        {
            int busiest = BusiestBank(offsets.Slice(first, Math.Min(lanesAtOnce, offsets.Length - first)), size);
            wavefronts += busiest;
            ideal += busiest > 0 ? 1 : 0;
        }

        return (wavefronts, ideal);
    }

    private static int BusiestBank(ReadOnlySpan<int> offsets, int size)
    {
        int wordsOfLane = ((size - 1) / 4) + 1;
        Span<int> words = stackalloc int[offsets.Length * (wordsOfLane + 1)];
        Span<byte> wordsOfBank = stackalloc byte[Banks];
        wordsOfBank.Clear();
        int count = 0;
        int busiest = 0;
        foreach (int offset in offsets)
        {
            if (offset < 0)
            {
                continue;
            }

            for (int word = offset / 4; word <= (offset + size - 1) / 4; word++)
            {
                if (!words[..count].Contains(word))
                {
                    words[count++] = word;
                    busiest = Math.Max(busiest, ++wordsOfBank[word % Banks]);
                }
            }
        }

        return busiest;
    }
}
