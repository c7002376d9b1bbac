namespace PureQLora.Core.Tests;

/// <summary>CPU backends held to one vector width; tests of a width that the processor lacks are skipped.</summary>
internal static class CpuLevels
{
    public static CpuBackend Open(SimdLevel level, int threads = 2)
    {
        if (level > CpuBackend.SupportedLevel)
        {
            Assert.Skip($"This processor has {CpuBackend.SupportedLevel} at most.");
        }

        return new CpuBackend(threads, level);
    }
}
