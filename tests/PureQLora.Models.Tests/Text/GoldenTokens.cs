using System.Text.Json;

namespace PureQLora.Models.Tests;

/// <summary>Vectors of one tokenizer, in the format of the golden text README.</summary>
internal sealed class GoldenTokens
{
    private GoldenTokens(JsonElement meta, IReadOnlyList<GoldenTokenCase> cases)
    {
        BosPrefix = Ids(meta.GetProperty("bos_prefix"));
        EosSuffix = Ids(meta.GetProperty("eos_suffix"));
        VocabularySize = meta.GetProperty("vocab").GetInt32();
        Cases = cases;
    }

    public int[] BosPrefix { get; }

    public int[] EosSuffix { get; }

    public int VocabularySize { get; }

    public IReadOnlyList<GoldenTokenCase> Cases { get; }

    public static GoldenTokens Load(string corpusFile, string vectorFile)
    {
        using JsonDocument corpus = JsonDocument.Parse(File.ReadAllBytes(corpusFile));
        Dictionary<string, string> texts = corpus.RootElement.GetProperty("cases").EnumerateArray()
            .ToDictionary(item => item.GetProperty("id").GetString()!, item => item.GetProperty("text").GetString()!);
        using JsonDocument vectors = JsonDocument.Parse(File.ReadAllBytes(vectorFile));
        List<GoldenTokenCase> cases = [.. vectors.RootElement.GetProperty("cases").EnumerateArray().Select(item => ReadCase(item, texts))];
        Assert.Equal(569, cases.Count);
        return new GoldenTokens(vectors.RootElement.GetProperty("meta"), cases);
    }

    private static GoldenTokenCase ReadCase(JsonElement item, Dictionary<string, string> texts)
    {
        string id = item.GetProperty("id").GetString()!;
        if (item.TryGetProperty("decode_ids", out JsonElement decodeIds))
        {
            return new GoldenTokenCase(id, null, Ids(decodeIds), null, Text(item, "text")!, Text(item, "text_skip")!, null, null, Stream(item));
        }

        // Absent fields equal what they are compared with, as the README says.
        string source = texts[id];
        string text = Text(item, "text") ?? source;
        return new GoldenTokenCase(
            id,
            source,
            Ids(item.GetProperty("ids")),
            item.TryGetProperty("ids_sp", out JsonElement special) ? Ids(special) : null,
            text,
            Text(item, "text_skip") ?? text,
            Text(item, "text_sp"),
            Text(item, "text_sp_skip"),
            Stream(item));
    }

    private static int[] Ids(JsonElement item) => [.. item.EnumerateArray().Select(id => id.GetInt32())];

    private static string? Text(JsonElement item, string name) => item.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;

    private static string[]? Stream(JsonElement item) => item.TryGetProperty("stream", out JsonElement value) && value.ValueKind == JsonValueKind.Array
        ? [.. value.EnumerateArray().Select(part => part.GetString()!)]
        : null;
}
