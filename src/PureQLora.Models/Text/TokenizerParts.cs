namespace PureQLora.Models;

/// <summary>Everything a <see cref="BytePairTokenizer"/> is made of.</summary>
internal sealed record TokenizerParts
{
    /// <summary>All tokens, added ones included.</summary>
    public required Vocabulary Vocabulary { get; init; }

    /// <summary>Tokens found before merging.</summary>
    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    /// <summary>Rewrites text.</summary>
    public required TextNormalizer Normalizer { get; init; }

    /// <summary>Cuts text into words.</summary>
    public required PreTokenizer PreTokenizer { get; init; }

    /// <summary>Turns words into ids.</summary>
    public required BpeModel Model { get; init; }

    /// <summary>Turns tokens into text.</summary>
    public required TokenDecoder Decoder { get; init; }

    /// <summary>Ids before a text.</summary>
    public int[] Prefix { get; init; } = [];

    /// <summary>Ids after a text.</summary>
    public int[] Suffix { get; init; } = [];
}
