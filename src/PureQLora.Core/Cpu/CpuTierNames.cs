namespace PureQLora.Core;

/// <summary>Names of the tiers as the environment variable and the tools have them.</summary>
public static class CpuTierNames
{
    /// <summary>Variable that chooses the tier of every backend that is not told one.</summary>
    public const string Variable = "PUREQLORA_CPU";

    private static readonly string[] Names = ["scalar", "vector128", "avx2", "avx512", "avx512-bf16", "amx"];

    /// <summary>The name, such as <c>avx512-bf16</c>.</summary>
    public static string Name(this CpuTier tier) => Names[(int)tier];

    /// <summary>The tier of a name.</summary>
    public static bool TryParse(string name, out CpuTier tier)
    {
        int index = Array.IndexOf(Names, name);
        tier = (CpuTier)Math.Max(0, index);
        return index >= 0;
    }
}
