using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>One id a character, behind &lt;s&gt; (1) and &lt;/s&gt; (2); "ab" is one token, so that prompts and completions can grow together.</summary>
internal sealed class CharacterTokenizer : ITokenizer
{
    public int VocabularySize => 300;

    public int? BosId => 1;

    public int? EosId { get; init; } = 2;

    public bool AddsEnd { get; init; }

    public int[] Encode(string text, bool addSpecial = false, bool parseSpecial = false)
    {
        List<int> ids = addSpecial ? [1] : [];
        for (int i = 0; i < text.Length; i++)
        {
            bool pair = text.AsSpan(i).StartsWith("ab");
            ids.Add(pair ? 290 : text[i]);
            i += pair ? 1 : 0;
        }

        return addSpecial && AddsEnd ? [.. ids, 2] : [.. ids];
    }

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false) => string.Concat(ids.ToArray().Select(IdToToken));

    public string? IdToToken(int id) => id switch { 1 => "<s>", 2 => "</s>", 290 => "ab", _ => ((char)id).ToString() };

    public int? TokenToId(string token) => token is "</s>" ? 2 : null;
}
