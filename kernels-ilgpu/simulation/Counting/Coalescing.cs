namespace PureQLora.Kernels.Simulation.Counting;

/// <summary>How an access of a warp to global memory falls into sectors.</summary>
internal static class Coalescing
{
    private const int SectorBytes = 32;

    /// <summary>The sectors that the lanes touch, and the fewest that their bytes would fill.</summary>
    /// <param name="offsets">Of every lane the first byte, -1 for none.</param>
    /// <param name="size">Bytes a lane.</param>
    public static (int Sectors, int Ideal) Sectors(ReadOnlySpan<int> offsets, int size)
    {
        Span<int> sorted = stackalloc int[offsets.Length];
        offsets.CopyTo(sorted);
        for (int i = 1; i < sorted.Length; i++)
        {
            if (sorted[i] < sorted[i - 1])
            {
                sorted.Sort();
                break;
            }
        }

        int sectors = 0;
        int bytes = 0;
        int lastSector = -1;
        int end = 0;
        foreach (int offset in sorted)
        {
            if (offset < 0)
            {
                continue;
            }

            bytes += Math.Max(0, offset + size - Math.Max(end, offset));
            end = offset + size;
            int last = (end - 1) / SectorBytes;
            sectors += last - Math.Max(lastSector, (offset / SectorBytes) - 1);
            lastSector = last;
        }

        return (sectors, (bytes + SectorBytes - 1) / SectorBytes);
    }
}
