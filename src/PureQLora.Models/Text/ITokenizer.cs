namespace PureQLora.Models;

/// <summary>Text to token ids and back. Implementations are immutable and safe to share between threads.</summary>
public interface ITokenizer
{
    /// <summary>Number of ids, added tokens included: valid ids are 0 … VocabularySize − 1.</summary>
    int VocabularySize { get; }

    /// <summary>Beginning-of-sequence id, or null where the tokenizer has none.</summary>
    int? BosId { get; }

    /// <summary>End-of-sequence id, or null where the tokenizer has none.</summary>
    int? EosId { get; }

    /// <summary>Token ids of a text.</summary>
    /// <param name="text">Any string; it may contain the spelling of special tokens.</param>
    /// <param name="addSpecial">Put BOS/EOS around the text as the tokenizer's own configuration does.</param>
    /// <param name="parseSpecial">Read the spelling of a special token as that token; otherwise it is plain text.</param>
    int[] Encode(string text, bool addSpecial = false, bool parseSpecial = false);

    /// <summary>Text of token ids; bytes that are not UTF-8 become U+FFFD.</summary>
    /// <param name="ids">Token ids; an id outside the vocabulary is an <see cref="ArgumentOutOfRangeException"/>.</param>
    /// <param name="skipSpecial">Leave special tokens out of the text.</param>
    string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false);

    /// <summary>Spelling of one token as the vocabulary has it, or null for an id without a token.</summary>
    string? IdToToken(int id);

    /// <summary>Id of a vocabulary entry, or null where there is none.</summary>
    int? TokenToId(string token);
}
