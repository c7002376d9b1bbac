namespace PureQLora.Training;

/// <summary>The adapters.</summary>
public sealed record LoraRecipe
{
    /// <summary>Rank of the update, 1 to 256.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Numerator of the scale.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Probability that an input element is dropped in training.</summary>
    public double Dropout { get; init; }

    /// <summary>Short names of the adapted layers; null: q_proj, k_proj, v_proj, o_proj; <c>all-linear</c>: all seven.</summary>
    public IReadOnlyList<string>? Targets { get; init; }

    /// <summary>Scale alpha/√rank instead of alpha/rank.</summary>
    public bool RankStabilized { get; init; }

    /// <summary>Ranks of modules whose name ends with a pattern.</summary>
    public IReadOnlyDictionary<string, int>? RankPattern { get; init; }

    /// <summary>Alphas of modules whose name ends with a pattern.</summary>
    public IReadOnlyDictionary<string, double>? AlphaPattern { get; init; }
}
