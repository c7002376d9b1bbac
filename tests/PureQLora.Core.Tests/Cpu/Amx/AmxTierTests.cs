using System.ComponentModel;

namespace PureQLora.Core.Tests;

/// <summary>A processor that has tiles, and everything that may keep them from being used.</summary>
public sealed class AmxTierTests
{
    private static readonly AmxTrial NeverTried = new(() => throw new InvalidOperationException("A tile was tried."), () => false);

    [Fact]
    public void Choose_GivenTilesThatWork_ShouldTakeThem()
    {
        CpuTierSelection selection = Processor(new AmxTrial(() => null, () => true));
        Assert.Equal(new CpuTierChoice(CpuTier.Amx, null), selection.Choose(null));
        Assert.Equal(CpuTier.Amx, selection.Choose("amx").Tier);
    }

    [Fact]
    public void Choose_GivenRefusedPermission_ShouldTakeTheTierBelowAndSayWhy() =>
        AssertRefused(new AmxTrial(() => "the system refuses tiles to this process (no)", () => true), "the system refuses tiles to this process (no)");

    [Fact]
    public void Choose_GivenWrongProducts_ShouldTakeTheTierBelowAndSayWhy() =>
        AssertRefused(new AmxTrial(() => null, () => false), "products of its tiles are wrong here");

    [Fact]
    public void Choose_GivenNoPagesForCodeAtAll_ShouldNotTryATile()
    {
        CpuTierSelection selection = new(_ => true, _ => throw new Win32Exception(13, "Permission denied"), NeverTried);
        Assert.Equal(
            new CpuTierChoice(CpuTier.Avx512, "not amx: the system forbids executable pages (Permission denied)"), selection.Choose(null));
    }

    [Fact]
    public void Choose_GivenProcessorWithoutTiles_ShouldNotTryOne()
    {
        RequireMachineCode();
        CpuTierSelection selection = new(tier => tier < CpuTier.Amx, code => new ExecutableMemory(code), NeverTried);
        Assert.Equal(new CpuTierChoice(CpuTier.Avx512BFloat16, null), selection.Choose(null));
        Assert.Equal("this processor lacks AMX with BF16 and INT8", selection.Obstacle(CpuTier.Amx));
    }

    [Fact]
    public void Choose_GivenManyCalls_ShouldTryTilesOnce()
    {
        RequireMachineCode();
        int tries = 0;
        CpuTierSelection selection = Processor(new AmxTrial(() => null, () => ++tries > 0));
        for (int i = 0; i < 5; i++)
        {
            _ = selection.Choose(null);
        }

        Assert.Equal(1, tries);
    }

    private static void AssertRefused(AmxTrial trial, string reason)
    {
        CpuTierSelection selection = Processor(trial);
        Assert.Equal(new CpuTierChoice(CpuTier.Avx512BFloat16, $"not amx: {reason}"), selection.Choose(null));
        Assert.Contains($"but {reason}; allowed here:", Assert.Throws<UserErrorException>(() => selection.Choose("amx")).Message, StringComparison.Ordinal);
    }

    /// <summary>A processor with every tier, whose tiles behave as told.</summary>
    private static CpuTierSelection Processor(AmxTrial trial)
    {
        RequireMachineCode();
        return new CpuTierSelection(_ => true, code => new ExecutableMemory(code), trial);
    }

    private static void RequireMachineCode() =>
        Assert.SkipUnless(CpuFeatures.Has(CpuTier.Avx512BFloat16), "Below tiles are BF16 and VNNI, whose code is run.");
}
