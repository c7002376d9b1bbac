using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace PureQLora.Models.Tests;

/// <summary>Small tokenizer.json files whose parts a test chooses.</summary>
internal static class TokenizerJsonBuilder
{
    /// <summary>A tokenizer of printable ASCII, the space mark and what the test adds; parts are JSON.</summary>
    public static BytePairTokenizer Build(
        string? normalizer = null,
        string? preTokenizer = null,
        string? decoder = null,
        string? postProcessor = null,
        string addedTokens = "[]",
        IReadOnlyList<string>? moreTokens = null,
        string merges = "[]",
        string modelOptions = "")
    {
        IEnumerable<string> ascii = Enumerable.Range(' ', 95).Select(value => ((char)value).ToString());
        string[] tokens = [.. ascii, "▁", .. moreTokens ?? []];
        string vocabulary = new JsonObject(tokens.Select((token, id) => KeyValuePair.Create(token, (JsonNode?)id))).ToJsonString();
        return Load($$"""
            {"version": "1.0", "truncation": null, "padding": null, "added_tokens": {{addedTokens}},
             "normalizer": {{normalizer ?? "null"}}, "pre_tokenizer": {{preTokenizer ?? "null"}},
             "post_processor": {{postProcessor ?? "null"}}, "decoder": {{decoder ?? """{"type": "Fuse"}"""}},
             "model": {"type": "BPE", {{modelOptions}} "vocab": {{vocabulary}}, "merges": {{merges}} } }
            """);
    }

    /// <summary>Reads a tokenizer.json given as text.</summary>
    public static BytePairTokenizer Load(string json) => Load(Encoding.UTF8.GetBytes(json));

    /// <summary>Reads a tokenizer.json given as bytes.</summary>
    public static BytePairTokenizer Load(byte[] json) => new(TokenizerJson.Read(json, "tokenizer.json"), SpecialTokenSettings.None);

    /// <summary>The tokens of a text, for tests that think in spellings.</summary>
    public static string Tokens(this ITokenizer tokenizer, string text, bool parseSpecial = false) =>
        string.Join('|', tokenizer.Encode(text, parseSpecial: parseSpecial).Select(tokenizer.IdToToken));

    /// <summary>A JSON string.</summary>
    public static string Quote(string text) => JsonSerializer.Serialize(text);
}
