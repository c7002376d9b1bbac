namespace PureQLora.Core.Tests;

/// <summary>CPU backends held to one tier; tests of a tier that the machine lacks are skipped with the reason.</summary>
internal static class CpuTiers
{
    public static CpuBackend Open(CpuTier tier, int threads = 2)
    {
        Assert.SkipWhen(CpuBackend.Obstacle(tier) is not null, CpuBackend.Obstacle(tier) ?? "");
        return new CpuBackend(threads, tier);
    }
}
