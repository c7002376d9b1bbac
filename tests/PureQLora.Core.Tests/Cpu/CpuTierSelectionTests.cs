using System.ComponentModel;

namespace PureQLora.Core.Tests;

/// <summary>Which tier is taken, and what the user reads when it is not the one that was asked for.</summary>
public sealed class CpuTierSelectionTests
{
    private static readonly Func<byte[], ExecutableMemory> Forbidden = _ => throw new Win32Exception(13, "Permission denied");

    [Theory]
    [InlineData("sse9")]
    [InlineData("AVX2")]
    [InlineData("1")]
    public void Choose_GivenUnknownName_ShouldSayWhatIsAllowedHere(string asked)
    {
        UserErrorException refused = Assert.Throws<UserErrorException>(() => Processor(CpuTier.Avx2).Choose(asked));
        Assert.Equal($"PUREQLORA_CPU is {asked}, allowed here: scalar, vector128, avx2.", refused.Message);
    }

    [Theory]
    [InlineData("avx2", "AVX2 with FMA")]
    [InlineData("avx512", "AVX-512 F, BW, DQ and VL")]
    [InlineData("avx512-bf16", "AVX-512 BF16 and VNNI")]
    [InlineData("amx", "AMX with BF16 and INT8")]
    public void Choose_GivenInstructionsThatTheProcessorLacks_ShouldNameThem(string asked, string lacking)
    {
        UserErrorException refused = Assert.Throws<UserErrorException>(() => Processor(CpuTier.Vector128).Choose(asked));
        Assert.Equal($"PUREQLORA_CPU is {asked}, but this processor lacks {lacking}; allowed here: scalar, vector128.", refused.Message);
    }

    [Fact]
    public void Choose_GivenNoExecutablePages_ShouldTakeTheTierBelowAndSayWhy()
    {
        CpuTierSelection selection = new(tier => tier <= CpuTier.Avx512BFloat16, Forbidden);

        CpuTierChoice choice = selection.Choose(null);
        UserErrorException refused = Assert.Throws<UserErrorException>(() => selection.Choose("avx512-bf16"));

        Assert.Equal(new CpuTierChoice(CpuTier.Avx512, "not avx512-bf16: the system forbids executable pages (Permission denied)"), choice);
        Assert.Contains("but the system forbids executable pages (Permission denied); allowed here: scalar, vector128, avx2, avx512.", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Choose_GivenMachineCodeThatComputesNothing_ShouldNotTrustIt()
    {
        Assert.SkipUnless(CpuFeatures.Has(CpuTier.Avx512BFloat16), "Runs x64 machine code.");
        CpuTierSelection selection = new(tier => tier <= CpuTier.Avx512BFloat16, _ => new ExecutableMemory([0xC3]));

        Assert.Equal(CpuTier.Avx512, selection.Choose("").Tier);
        Assert.Contains("wrong results", selection.Obstacle(CpuTier.Avx512BFloat16), StringComparison.Ordinal);
    }

    [Fact]
    public void Choose_GivenManyCalls_ShouldTryMachineCodeOnce()
    {
        int tries = 0;
        CpuTierSelection selection = new(tier => tier <= CpuTier.Avx512BFloat16, code =>
        {
            tries++;
            return Forbidden(code);
        });
        for (int i = 0; i < 5; i++)
        {
            _ = selection.Choose(null);
        }

        Assert.Equal(1, tries);
    }

    [Fact]
    public void Choose_GivenNoVectorsInHardware_ShouldTakeScalarUnlessAsked()
    {
        CpuTierSelection selection = new(tier => tier == CpuTier.Scalar, Forbidden);
        Assert.Equal(new CpuTierChoice(CpuTier.Scalar, null), selection.Choose(null));
        Assert.Equal(CpuTier.Vector128, selection.Choose("vector128").Tier);
    }

    [Fact]
    public void Names_GivenEveryTier_ShouldReadBack()
    {
        Assert.All(Enum.GetValues<CpuTier>(), tier =>
        {
            Assert.True(CpuTierNames.TryParse(tier.Name(), out CpuTier parsed));
            Assert.Equal(tier, parsed);
        });
    }

    [Fact]
    public void Backend_GivenATier_ShouldNameItWithTheDevice()
    {
        using CpuBackend backend = new(threads: 1, CpuTier.Scalar);
        Assert.Equal("cpu, scalar, 1 thread", backend.Description);
        Assert.Equal(Precision.Float32, backend.PreferredPrecision);
    }

    [Fact]
    public void Backend_GivenEveryTierInTurn_ShouldRunItOrSayWhyNot()
    {
        Assert.All(Enum.GetValues<CpuTier>(), tier =>
        {
            if (CpuBackend.Obstacle(tier) is { } obstacle)
            {
                Assert.Contains(obstacle, Assert.Throws<ArgumentOutOfRangeException>(() => new CpuBackend(1, tier)).Message, StringComparison.Ordinal);
                return;
            }

            using CpuBackend backend = new(1, tier);
            Assert.Equal(tier, backend.Tier);
            Assert.Null(backend.TierReason);
        });
    }

    private static CpuTierSelection Processor(CpuTier highest) => new(tier => tier <= highest, Forbidden);
}
