using System.Globalization;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>How the next token is chosen and when to stop. The defaults are greedy: the likeliest token, always.</summary>
/// <remarks>
/// Names, ranges and order of application are those of Hugging Face transformers: repetition penalty, n-gram ban, temperature, top-k,
/// top-p, min-p, typical-p.
/// </remarks>
public sealed record SamplingOptions
{
    /// <summary>Tokens written at most, the one that ends the text included; at least 1.</summary>
    public int MaxNewTokens { get; init; } = 256;

    /// <summary>Scores are divided by it; 0 takes the likeliest token, 1 samples from the model's own distribution.</summary>
    public double Temperature { get; init; }

    /// <summary>Only the so many likeliest tokens, and those equal to the last of them; 0 for all.</summary>
    public int TopK { get; init; }

    /// <summary>Only the fewest likeliest tokens that hold this share of the probability, 0–1; 1 for all.</summary>
    /// <remarks>Holtzman et al., arXiv:1904.09751, eq. 3.</remarks>
    public double TopP { get; init; } = 1;

    /// <summary>Only tokens at least this share as likely as the likeliest one, 0–1; 0 for all.</summary>
    /// <remarks>Nguyen et al., arXiv:2407.01082, section 3.</remarks>
    public double MinP { get; init; }

    /// <summary>
    /// Only tokens whose information is nearest to the expected one, until they hold this share of the probability, above 0 up to 1;
    /// 1 for all.
    /// </summary>
    /// <remarks>Meister et al., arXiv:2202.00666, eq. 8.</remarks>
    public double TypicalP { get; init; } = 1;

    /// <summary>Positive scores of tokens seen, in the prompt too, are divided by it, negative ones multiplied; 1 changes nothing.</summary>
    /// <remarks>Keskar et al., arXiv:1909.05858, section 4.1, as transformers applies it to negative scores.</remarks>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>No run of so many tokens comes twice, the prompt included; 0 allows it.</summary>
    public int NoRepeatNgramSize { get; init; }

    /// <summary>Chooses among samples; the same seed gives the same text, whatever is generated beside it.</summary>
    public ulong Seed { get; init; }

    /// <summary>Texts that end the generation and are cut off; spellings of special tokens are taken for those.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Token ids that end the generation, besides those of the model.</summary>
    public IReadOnlyList<int> StopIds { get; init; } = [];

    /// <summary>True where the likeliest token is taken.</summary>
    public bool IsGreedy => Temperature == 0;

    /// <summary>Checks every range.</summary>
    /// <exception cref="UserErrorException">A value is outside its range.</exception>
    public void Validate()
    {
        Check(MaxNewTokens >= 1, "max new tokens", MaxNewTokens, "from 1 up", "it is the longest text that may be written");
        Check(double.IsFinite(Temperature) && Temperature >= 0, "temperature", Temperature, "0 (greedy) or above", "try 0.7");
        Check(TopK >= 0, "top-k", TopK, "0 (all tokens) or above", "try 0 or 50");
        Check(TopP is >= 0 and <= 1, "top-p", TopP, "0–1", "try 0.9, or 1 for all tokens");
        Check(MinP is >= 0 and <= 1, "min-p", MinP, "0–1", "try 0.05, or 0 for all tokens");
        Check(TypicalP is > 0 and <= 1, "typical-p", TypicalP, "above 0 up to 1", "try 0.95, or 1 for all tokens");
        Check(double.IsFinite(RepetitionPenalty) && RepetitionPenalty > 0, "repetition penalty", RepetitionPenalty, "above 0", "try 1.1, or 1 for none");
        Check(NoRepeatNgramSize >= 0, "no-repeat n-gram size", NoRepeatNgramSize, "0 (no ban) or above", "try 0 or 3");
        if (StopStrings is null || StopIds is null || StopStrings.Any(string.IsNullOrEmpty))
        {
            throw new UserErrorException("A stop string is empty and would end every text before it begins; leave it out.");
        }
    }

    private static void Check(bool allowed, string name, double value, string range, string advice)
    {
        if (!allowed)
        {
            throw new UserErrorException($"The {name} is {value.ToString(CultureInfo.InvariantCulture)}, allowed is {range}; {advice}.");
        }
    }
}
