using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// A LoRA adapter's settings (Hu et al., arXiv:2106.09685), with the meaning PEFT gives them: y = x Wᵀ + scale · (x Aᵀ) Bᵀ with A [rank, in]
/// and B [out, rank].
/// </summary>
public sealed record LoraConfig
{
    /// <summary>The value of <see cref="TargetPattern"/> that stands for every linear layer of the blocks.</summary>
    public const string AllLinear = "all-linear";

    /// <summary>Rank of modules that no pattern names.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Numerator of the scale for modules that no pattern names.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Share of the adapter's inputs that is dropped in training.</summary>
    public double Dropout { get; init; }

    /// <summary>Modules that get an adapter: full names, or their last parts; not used where <see cref="TargetPattern"/> is set.</summary>
    public IReadOnlyList<string> TargetModules { get; init; } = ["q_proj", "k_proj", "v_proj", "o_proj"];

    /// <summary>A regular expression that must match the whole module name, or <see cref="AllLinear"/>; null to use the list.</summary>
    public string? TargetPattern { get; init; }

    /// <summary>Block numbers that get adapters; null for all.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>The scale is alpha / √rank instead of alpha / rank (Kalajdzievski, arXiv:2312.03732).</summary>
    public bool UseRsLora { get; init; }

    /// <summary>QA-LoRA (Xu et al., arXiv:2309.14717): A sees the pooled groups of the input, so that merging only moves a quantised base's zero points.</summary>
    public bool UseQaLora { get; init; }

    /// <summary>Inputs that QA-LoRA pools, PEFT's <c>qalora_group_size</c>; without effect on plain LoRA.</summary>
    public int QaLoraGroupSize { get; init; } = 16;

    /// <summary>Ranks of their own: regular expressions that must match the end of a module name, starting at a dot; the first counts.</summary>
    public IReadOnlyList<KeyValuePair<string, int>> RankPattern { get; init; } = [];

    /// <summary>Alphas of their own, found in the same way.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> AlphaPattern { get; init; } = [];

    /// <summary>Folder or hub name of the base model, as the file says; null where it does not.</summary>
    public string? BaseModel { get; init; }

    /// <summary>Revision of the base model on the hub; null for its newest.</summary>
    public string? Revision { get; init; }

    /// <summary>Keys of the file that had no effect and are not known to be harmless, for tools to print.</summary>
    public IReadOnlyList<string> IgnoredKeys { get; init; } = [];

    /// <summary>Whether a module gets an adapter.</summary>
    /// <param name="module">Full name, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    /// <exception cref="UserErrorException">The pattern is no regular expression that can be matched in linear time.</exception>
    public bool Targets(string module)
    {
        ArgumentNullException.ThrowIfNull(module);
        bool named = TargetPattern is null
            ? TargetModules.Any(target => Names(target, module))
            : string.Equals(TargetPattern, AllLinear, StringComparison.OrdinalIgnoreCase) || ModulePattern.Whole(TargetPattern).IsMatch(module);
        return named && (LayersToTransform is null || (LayerOf(module) is { } layer && LayersToTransform.Contains(layer)));
    }

    /// <summary>Rank of a module's adapter.</summary>
    public int RankOf(string module) => Find(RankPattern, module) ?? Rank;

    /// <summary>Alpha of a module's adapter.</summary>
    public double AlphaOf(string module) => Find(AlphaPattern, module) ?? Alpha;

    /// <summary>alpha / rank of the module, or alpha / √rank.</summary>
    public double ScaleOf(string module)
    {
        int rank = RankOf(module);
        return AlphaOf(module) / (UseRsLora ? Math.Sqrt(rank) : rank);
    }

    /// <summary>Inputs that share a column of A; 0 for none.</summary>
    internal int GroupSize => UseQaLora ? QaLoraGroupSize : 0;

    /// <summary>Whether an entry of the target list means the module: its full name, or its end from a dot on.</summary>
    internal static bool Names(string target, string module) =>
        module.EndsWith(target, StringComparison.Ordinal) && (module.Length == target.Length || module[^(target.Length + 1)] == '.');

    /// <summary>The number after <c>layers.</c>, or null.</summary>
    internal static int? LayerOf(string module)
    {
        const string Marker = ".layers.";
        int start = module.IndexOf(Marker, StringComparison.Ordinal);
        if (start < 0)
        {
            return null;
        }

        string rest = module[(start + Marker.Length)..];
        int end = rest.IndexOf('.', StringComparison.Ordinal);
        return end > 0 && int.TryParse(rest[..end], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int layer) ? layer : null;
    }

    private static T? Find<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, string module)
        where T : struct
    {
        foreach ((string pattern, T value) in patterns)
        {
            if (ModulePattern.End(pattern).IsMatch(module))
            {
                return value;
            }
        }

        return null;
    }
}
