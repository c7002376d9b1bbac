using System.Text;

namespace PureQLora.Models;

/// <summary>Finds the added tokens of a <c>tokenizer.json</c> in text.</summary>
/// <remarks>Leftmost, and of those the longest. A match that its conditions reject is not tried again from its second character on.</remarks>
internal sealed class AddedTokens
{
    private readonly Dictionary<int, AddedToken> _byId;
    private readonly TokenTrie _raw;
    private readonly TokenTrie _normalized;

    public AddedTokens(IReadOnlyCollection<AddedToken> tokens, TextNormalizer normalizer)
    {
        _byId = tokens.ToDictionary(token => token.Id);
        _raw = new TokenTrie(tokens.Where(token => !token.IsNormalized).Select(token => KeyValuePair.Create(token.Content, token.Id)));
        _normalized = new TokenTrie(tokens.Where(token => token.IsNormalized)
            .Select(token => KeyValuePair.Create(normalizer.Normalize(token.Content), token.Id)).Where(token => token.Key.Length > 0));
    }

    /// <summary>Whether an id is that of a special token.</summary>
    public bool IsSpecial(int id) => _byId.TryGetValue(id, out AddedToken? token) && token.IsSpecial;

    /// <summary>Cuts a text at its added tokens. Parts between them have the id −1.</summary>
    /// <param name="text">The text.</param>
    /// <param name="normalized">Whether it is normalized: which of the tokens to look for.</param>
    /// <param name="parseSpecial">Whether to look for special tokens.</param>
    public List<(int Start, int End, int Id)> Cut(string text, bool normalized, bool parseSpecial)
    {
        TokenTrie trie = normalized ? _normalized : _raw;
        List<(int Start, int End, int Id)> parts = [];
        int done = 0;
        int from = 0;
        while (trie.TryFind(text, from, out int start, out int length, out int id))
        {
            int end = start + length;
            from = end;
            AddedToken token = _byId[id];
            if ((token.IsSpecial && !parseSpecial) || (token.SingleWord && TouchesWord(text, start, end)))
            {
                continue;
            }

            if (token.StripLeft)
            {
                start = Math.Max(done, text.AsSpan(0, start).TrimEnd().Length);
            }

            if (token.StripRight)
            {
                end = text.Length - text.AsSpan(end).TrimStart().Length;
            }

            if (done < start)
            {
                parts.Add((done, start, -1));
            }

            parts.Add((start, end, id));
            done = end;
        }

        if (done < text.Length)
        {
            parts.Add((done, text.Length, -1));
        }

        return parts;
    }

    private static bool TouchesWord(string text, int start, int end)
    {
        bool before = Rune.DecodeLastFromUtf16(text.AsSpan(0, start), out Rune last, out _) == System.Buffers.OperationStatus.Done && CharacterClasses.IsWord(last);
        bool after = Rune.DecodeFromUtf16(text.AsSpan(end), out Rune first, out _) == System.Buffers.OperationStatus.Done && CharacterClasses.IsWord(first);
        return before || after;
    }
}
