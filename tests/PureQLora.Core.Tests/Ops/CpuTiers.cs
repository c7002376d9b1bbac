namespace PureQLora.Core.Tests;

/// <summary>CPU backends held to one vector width; tests of a width that the processor lacks are skipped.</summary>
internal static class CpuTiers
{
    public static CpuBackend Open(CpuTier tier, int threads = 2)
    {
        if (tier > CpuBackend.SupportedTier)
        {
            Assert.Skip($"This processor has {CpuBackend.SupportedTier} at most.");
        }

        return new CpuBackend(threads, tier);
    }
}
