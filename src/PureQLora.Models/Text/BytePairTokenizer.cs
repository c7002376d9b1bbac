using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The tokenizer of a Hugging Face <c>tokenizer.json</c> whose model is BPE, byte-level or with byte fallback.</summary>
/// <remarks>
/// Ids and texts are those of the tokenizers library. Added tokens are cut out, what lies between them is normalized, cut into words
/// and merged; the post-processor says what goes around a text. Truncation and padding that the file stores are not applied.
/// </remarks>
public sealed class BytePairTokenizer : ITokenizer
{
    private readonly Vocabulary _vocabulary;
    private readonly AddedTokens _added;
    private readonly TextNormalizer _normalizer;
    private readonly PreTokenizer _preTokenizer;
    private readonly BpeModel _model;
    private readonly TokenDecoder _decoder;
    private readonly int[] _prefix;
    private readonly int[] _suffix;

    internal BytePairTokenizer(TokenizerParts parts, SpecialTokenSettings settings)
    {
        _vocabulary = parts.Vocabulary;
        _normalizer = parts.Normalizer;
        _preTokenizer = parts.PreTokenizer;
        _model = parts.Model;
        _decoder = parts.Decoder;
        (_prefix, _suffix) = (parts.Prefix, parts.Suffix);
        _added = new AddedTokens(parts.AddedTokens, _normalizer);

        // Without a configuration beside the file, the one token that the post-processor puts there is taken.
        BosId = settings.Find("bos_token", settings.BosToken, TokenToId) ?? (_prefix.Length == 1 ? _prefix[0] : null);
        EosId = settings.Find("eos_token", settings.EosToken, TokenToId) ?? (_suffix.Length == 1 ? _suffix[0] : null);
    }

    /// <inheritdoc/>
    public int VocabularySize => _vocabulary.Size;

    /// <inheritdoc/>
    public int? BosId { get; }

    /// <inheritdoc/>
    public int? EosId { get; }

    /// <summary>Loads a <c>tokenizer.json</c> by itself, without the configuration beside it.</summary>
    /// <exception cref="UserErrorException">The file cannot be read, is broken, or asks for what is not supported.</exception>
    public static BytePairTokenizer Load(string path) => TokenizerFile.LoadTokenizerJson(path, SpecialTokenSettings.None);

    /// <inheritdoc/>
    public int[] Encode(string text, bool addSpecial = false, bool parseSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        text = WellFormedText.Repair(text);
        using IdBuffer ids = new((text.Length / 3) + 4);
        ids.Add(addSpecial ? _prefix : []);
        foreach ((int start, int end, int id) in _added.Cut(text, normalized: false, parseSpecial))
        {
            if (id >= 0)
            {
                ids.Add(id);
            }
            else
            {
                EncodePart(_normalizer.Normalize(text[start..end]), isFirst: start == 0, parseSpecial, ids);
            }
        }

        ids.Add(addSpecial ? _suffix : []);
        return ids.Ids.ToArray();
    }

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        List<string> tokens = new(ids.Length);
        foreach (int id in ids)
        {
            if (id < 0 || id >= VocabularySize)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), id, $"Token id {id} is outside the vocabulary, allowed is 0 to {VocabularySize - 1}.");
            }

            if (_vocabulary.Token(id) is string token && !(skipSpecial && _added.IsSpecial(id)))
            {
                tokens.Add(token);
            }
        }

        return _decoder.Decode(tokens);
    }

    /// <inheritdoc/>
    public string? IdToToken(int id) => _vocabulary.Token(id);

    /// <inheritdoc/>
    public int? TokenToId(string token) => _vocabulary.Find(token);

    private void EncodePart(string text, bool isFirst, bool parseSpecial, IdBuffer ids)
    {
        WordEncoder words = new(_model, ids);
        foreach ((int start, int end, int id) in _added.Cut(text, normalized: true, parseSpecial))
        {
            if (id >= 0)
            {
                ids.Add(id);
            }
            else
            {
                _preTokenizer.Split(new TextSegment(text, start, end - start, isFirst && start == 0), words);
            }
        }
    }
}
