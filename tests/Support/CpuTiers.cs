using PureQLora.Core;

namespace PureQLora.Testing;

/// <summary>CPU backends held to one tier; tests of a tier that the machine lacks are skipped with the reason.</summary>
public static class CpuTiers
{
    /// <summary>Every tier, for theories; <see cref="Open"/> skips those that the machine lacks.</summary>
    public static TheoryData<CpuTier> All => [.. Enum.GetValues<CpuTier>()];

    public static CpuBackend Open(CpuTier tier, int threads = 2)
    {
        Assert.SkipWhen(CpuBackend.Obstacle(tier) is not null, CpuBackend.Obstacle(tier) ?? "");
        return new CpuBackend(threads, tier);
    }
}
