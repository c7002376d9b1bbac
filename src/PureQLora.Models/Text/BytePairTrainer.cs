using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace PureQLora.Models;

/// <summary>Learns a byte-level BPE vocabulary from texts and writes it as <c>tokenizer.json</c>; digits stand one by one.</summary>
/// <remarks>
/// Sennrich et al., arXiv:1508.07909, algorithm 1, over bytes as in GPT-2. The most frequent pair is merged first; of equals, the one
/// that is first in ordinal order, so the result does not depend on the order of the texts.
/// </remarks>
public static class BytePairTrainer
{
    /// <summary>Written around every text: the beginning; id 0.</summary>
    public const string BeginToken = "<s>";

    /// <summary>The end of a text; id 1.</summary>
    public const string EndToken = "</s>";

    private const string Pattern = @" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>Learns a tokenizer.</summary>
    /// <param name="texts">What the merges are learnt from.</param>
    /// <param name="vocabularySize">Two special tokens, 256 bytes, and as many merges as remain.</param>
    /// <returns>The text of <c>tokenizer.json</c>.</returns>
    public static string Train(IEnumerable<string> texts, int vocabularySize)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 258);
        List<(List<string> Symbols, long Count)> words = CountWords(texts);
        List<(string Left, string Right)> merges = [];
        while (merges.Count < vocabularySize - 258 && MostFrequentPair(words) is { } pair)
        {
            merges.Add(pair);
            foreach ((List<string> symbols, _) in words)
            {
                Merge(symbols, pair);
            }
        }

        return ToJson(merges);
    }

    private static List<(List<string> Symbols, long Count)> CountWords(IEnumerable<string> texts)
    {
        Regex split = new(Pattern, RegexOptions.CultureInvariant);
        Dictionary<string, long> counts = new(StringComparer.Ordinal);
        foreach (string text in texts)
        {
            foreach (Match match in split.Matches(text))
            {
                counts[match.Value] = counts.GetValueOrDefault(match.Value) + 1;
            }
        }

        return [.. counts.Select(word => (Symbols(word.Key), word.Value))];
    }

    private static List<string> Symbols(string word) => [.. Encoding.UTF8.GetBytes(word).Select(value => ByteAlphabet.ToCharacter(value).ToString())];

    private static (string Left, string Right)? MostFrequentPair(List<(List<string> Symbols, long Count)> words)
    {
        Dictionary<(string Left, string Right), long> counts = [];
        foreach ((List<string> symbols, long count) in words)
        {
            for (int i = 0; i + 1 < symbols.Count; i++)
            {
                (string, string) pair = (symbols[i], symbols[i + 1]);
                counts[pair] = counts.GetValueOrDefault(pair) + count;
            }
        }

        return counts.Count == 0
            ? null
            : counts.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key.Left, StringComparer.Ordinal).ThenBy(pair => pair.Key.Right, StringComparer.Ordinal).First().Key;
    }

    private static void Merge(List<string> symbols, (string Left, string Right) pair)
    {
        for (int i = 0; i + 1 < symbols.Count; i++)
        {
            if (symbols[i] == pair.Left && symbols[i + 1] == pair.Right)
            {
                symbols[i] += symbols[i + 1];
                symbols.RemoveAt(i + 1);
            }
        }
    }

    private static string ToJson(List<(string Left, string Right)> merges)
    {
        JsonObject vocabulary = new() { [BeginToken] = 0, [EndToken] = 1 };
        foreach (string symbol in Enumerable.Range(0, 256).Select(value => ByteAlphabet.ToCharacter((byte)value).ToString()).Concat(merges.Select(merge => merge.Left + merge.Right)))
        {
            vocabulary.TryAdd(symbol, vocabulary.Count);
        }

        JsonObject root = new()
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray(Special(0, BeginToken), Special(1, EndToken)),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = Pattern }, ["behavior"] = "Isolated", ["invert"] = false },
                    ByteLevel()),
            },
            ["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = new JsonArray(SpecialPart(0), SequencePart("A", 0)),
                ["pair"] = new JsonArray(SpecialPart(0), SequencePart("A", 0), SpecialPart(1), SequencePart("B", 1)),
                ["special_tokens"] = new JsonObject
                {
                    [BeginToken] = new JsonObject { ["id"] = BeginToken, ["ids"] = new JsonArray(0), ["tokens"] = new JsonArray(BeginToken) },
                },
            },
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["ignore_merges"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)new JsonArray(merge.Left, merge.Right))]),
            },
        };
        return root.ToJsonString() + "\n";
    }

    private static JsonObject ByteLevel() => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = false };

    private static JsonObject Special(int id, string content) => new()
    {
        ["id"] = id,
        ["content"] = content,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    };

    private static JsonObject SpecialPart(int type) => new() { ["SpecialToken"] = new JsonObject { ["id"] = BeginToken, ["type_id"] = type } };

    private static JsonObject SequencePart(string id, int type) => new() { ["Sequence"] = new JsonObject { ["id"] = id, ["type_id"] = type } };
}
