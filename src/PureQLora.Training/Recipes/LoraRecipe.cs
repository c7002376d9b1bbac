using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;

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

    /// <summary>QA-LoRA: adapters pool their input by the base's groups, and merging them rounds nothing again.</summary>
    public bool UseQalora { get; init; }

    /// <summary>What the adapters start from; other than zero, they make up for what quantising lost.</summary>
    public AdapterStart Init { get; init; }

    /// <summary>Times that LoftQ quantises and approximates in turn; PEFT's <c>loftq_iter</c>.</summary>
    public int LoftqIterations { get; init; } = 1;

    /// <summary>Ranks of modules whose name ends with a pattern.</summary>
    public IReadOnlyDictionary<string, int>? RankPattern { get; init; }

    /// <summary>Alphas of modules whose name ends with a pattern.</summary>
    public IReadOnlyDictionary<string, double>? AlphaPattern { get; init; }

    /// <summary>The same as adapter files hold it.</summary>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public LoraConfig ToConfig()
    {
        RequireRank("lora.rank", Rank);
        RequireAlpha("lora.alpha", Alpha);
        if (Dropout is not (>= 0 and < 1))
        {
            throw new UserErrorException(string.Create(CultureInfo.InvariantCulture, $"lora.dropout is {Dropout}, allowed 0 to below 1; 0 and 0.05 are usual."));
        }

        if (LoftqIterations is < 1 or > AdapterStartOptions.MostIterations)
        {
            throw new UserErrorException($"lora.loftqIterations is {LoftqIterations}, allowed 1–{AdapterStartOptions.MostIterations}; 1 leaves the codes as they are, 5 is usual for more.");
        }

        foreach ((string pattern, int rank) in RankPattern ?? new Dictionary<string, int>())
        {
            RequireRank($"lora.rankPattern.{pattern}", rank);
        }

        foreach ((string pattern, double alpha) in AlphaPattern ?? new Dictionary<string, double>())
        {
            RequireAlpha($"lora.alphaPattern.{pattern}", alpha);
        }

        LoraConfig config = new()
        {
            Rank = Rank,
            Alpha = Alpha,
            Dropout = Dropout,
            UseRsLora = RankStabilized,
            UseQaLora = UseQalora,
            RankPattern = [.. RankPattern ?? new Dictionary<string, int>()],
            AlphaPattern = [.. AlphaPattern ?? new Dictionary<string, double>()],
        };
        return Targets switch
        {
            null or [] => config,
            [LoraConfig.AllLinear] => config with { TargetPattern = LoraConfig.AllLinear },
            _ => config with { TargetModules = Targets },
        };
    }

    private static void RequireRank(string key, int rank)
    {
        if (rank is < 1 or > 256)
        {
            throw new UserErrorException($"{key} is {rank}, allowed 1–256. Try 8, 16 or 64; memory grows linearly with rank.");
        }
    }

    private static void RequireAlpha(string key, double alpha)
    {
        if (alpha is not (> 0 and <= 1e6))
        {
            throw new UserErrorException(string.Create(CultureInfo.InvariantCulture, $"{key} is {alpha}, allowed above 0 to 1000000; once or twice the rank is usual."));
        }
    }
}
