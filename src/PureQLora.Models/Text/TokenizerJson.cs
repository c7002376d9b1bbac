using System.Text;
using System.Text.Json;

namespace PureQLora.Models;

/// <summary>Reads a Hugging Face <c>tokenizer.json</c>. What it does not know it refuses by name.</summary>
/// <remarks>Format: the serialization of huggingface/tokenizers, versions 0.13 to 0.23.</remarks>
internal static class TokenizerJson
{
    /// <summary>Reads the file.</summary>
    /// <exception cref="Core.UserErrorException">The file is broken, or asks for what is not supported.</exception>
    public static TokenizerParts Read(ReadOnlyMemory<byte> data, string name)
    {
        JsonPart file = JsonPart.Parse(data, name);
        file.AllowOnly("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model");
        PreTokenizer preTokenizer = PreTokenizer.Read(file.Optional("pre_tokenizer"));
        Vocabulary vocabulary = new();
        BpeModel model = ReadModel(file.Required("model"), preTokenizer.ByteLevel, vocabulary);
        List<AddedToken> added = [];
        HashSet<int> ids = [];
        foreach (JsonPart part in file.Optional("added_tokens")?.Items() ?? [])
        {
            AddedToken token = AddedToken.Read(part);
            vocabulary.Add(token.Content, token.Id, part);
            added.Add(ids.Add(token.Id) ? token : throw part.Error($"lists the id {token.Id} a second time; every token is listed once"));
        }

        (int[] prefix, int[] suffix) = PostProcessor.Read(file.Optional("post_processor"), vocabulary.Size);
        return new TokenizerParts
        {
            Vocabulary = vocabulary,
            AddedTokens = added,
            Normalizer = TextNormalizer.Read(file.Optional("normalizer")),
            PreTokenizer = preTokenizer,
            Model = model,
            Decoder = TokenDecoder.Read(file.Optional("decoder")),
            Prefix = prefix,
            Suffix = suffix,
        };
    }

    private static BpeModel ReadModel(JsonPart part, bool byteLevel, Vocabulary vocabulary)
    {
        // Files of old do not name the type; BPE is told by its merges.
        string type = part.OptionalText("type") ?? (part.Optional("merges") is null ? "" : "BPE");
        if (type != "BPE")
        {
            throw part.Error($"has the type '{type}', and only BPE is supported");
        }

        part.AllowOnly("type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges");
        foreach (string affix in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (part.OptionalText(affix) is { Length: > 0 } text)
            {
                throw part.Error($"has the {affix} '{text}', which is not supported");
            }
        }

        if (IsSet(part.Optional("dropout")))
        {
            throw part.Error("has a dropout, which is not supported; set it to null");
        }

        foreach ((string token, JsonPart id) in part.Required("vocab").Members())
        {
            vocabulary.Add(token, id.Integer(0, Vocabulary.MaxSize - 1), id);
        }

        string? unknown = part.OptionalText("unk_token");
        bool fallback = part.Flag("byte_fallback", false);
        List<Merge> merges = ReadMerges(part.Required("merges"), vocabulary);
        Dictionary<int, int> symbols = FindCodePoints(vocabulary);
        bool ignoreMerges = part.Flag("ignore_merges", false);
        return new BpeModel(symbols)
        {
            Merges = new MergeTable(merges),
            VocabularySize = vocabulary.Size,
            ByteLevel = byteLevel,
            ByteIds = byteLevel || fallback ? FindBytes(part, vocabulary, byteLevel, fallback) : null,
            UnknownId = unknown is null ? null : vocabulary.Find(unknown) ?? throw part.Error($"has the unk_token '{unknown}', which its vocabulary does not hold"),
            FuseUnknown = part.Flag("fuse_unk", false),
            WholeWords = ignoreMerges ? new Dictionary<string, int>(vocabulary.Ids, StringComparer.Ordinal) : null,
            Cuts = byteLevel || ignoreMerges ? null : new WordCuts(symbols.Keys, merges.Select(merge => vocabulary.Token(merge.Result)!)),
        };
    }

    private static bool IsSet(JsonPart? dropout) =>
        dropout is JsonPart part && !(part.Element.ValueKind == JsonValueKind.Number && part.Element.TryGetDouble(out double value) && value == 0);

    private static Dictionary<int, int> FindCodePoints(Vocabulary vocabulary)
    {
        Dictionary<int, int> codePoints = [];
        foreach ((string token, int id) in vocabulary.Ids)
        {
            if (Rune.DecodeFromUtf16(token, out Rune rune, out int length) == System.Buffers.OperationStatus.Done && length == token.Length)
            {
                codePoints.Add(rune.Value, id);
            }
        }

        return codePoints;
    }

    private static int[] FindBytes(JsonPart part, Vocabulary vocabulary, bool byteLevel, bool fallback)
    {
        // Some real byte-level vocabularies lack bytes that their training text did not have; the library drops those from the text.
        int[] ids = new int[256];
        for (int value = 0; value < 256; value++)
        {
            string token = byteLevel ? ByteAlphabet.ToCharacter((byte)value).ToString() : SentencePieceModel.SpellByte((byte)value);
            ids[value] = vocabulary.Find(token) ?? (fallback
                ? throw part.Error($"has byte_fallback true but no token '{token}' for the byte 0x{value:X2}, and all 256 are needed; use a complete vocabulary")
                : -1);
        }

        return ids;
    }

    private static List<Merge> ReadMerges(JsonPart part, Vocabulary vocabulary)
    {
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = vocabulary.Ids.GetAlternateLookup<ReadOnlySpan<char>>();
        List<Merge> merges = [];
        foreach (JsonPart item in part.Items())
        {
            (string left, string right) = ReadPair(item);
            if (!lookup.TryGetValue(left, out int leftId) || !lookup.TryGetValue(right, out int rightId) || !lookup.TryGetValue(left + right, out int result))
            {
                throw item.Error($"merges '{left}' and '{right}', and the vocabulary does not hold both and '{left}{right}'; the file is not consistent");
            }

            merges.Add(new Merge(leftId, rightId, merges.Count, result));
        }

        return merges;
    }

    private static (string Left, string Right) ReadPair(JsonPart item)
    {
        string[] pair = item.Element.ValueKind == JsonValueKind.Array ? [.. item.Items().Take(3).Select(side => side.Text())] : item.Text().Split(' ');
        return pair.Length == 2 ? (pair[0], pair[1]) : throw item.Error("is not a merge, allowed is \"left right\" or [\"left\", \"right\"]");
    }
}
