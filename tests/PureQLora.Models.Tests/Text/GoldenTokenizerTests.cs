using System.Text.Json;

namespace PureQLora.Models.Tests;

/// <summary>Every id and every text of the golden vectors, for each tokenizer.</summary>
public sealed class GoldenTokenizerTests
{
    private const string Gpt4Style = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}$COUNT| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public static TheoryData<string> Names => ["spm600", "spm600_model", "bpe800", "llama3style", "llama2", "mistral", "tinyllama", "smollm2", "llama3", "qwen"];

    [Theory]
    [MemberData(nameof(Names))]
    public void Encode_GivenTheCorpus_ShouldGiveTheGoldenIds(string name)
    {
        (ITokenizer tokenizer, GoldenTokens golden) = Load(name);
        List<string> wrong = [];
        foreach (GoldenTokenCase row in golden.Cases.Where(row => row.Source is not null))
        {
            int[] special = row.IdsSpecial ?? row.Ids;
            Compare(row.Ids, tokenizer.Encode(row.Source!), $"{row.Id} ids", wrong);
            Compare(special, tokenizer.Encode(row.Source!, parseSpecial: true), $"{row.Id} ids_sp", wrong);
            Compare([.. golden.BosPrefix, .. special, .. golden.EosSuffix], tokenizer.Encode(row.Source!, addSpecial: true, parseSpecial: true), $"{row.Id} bos/eos", wrong);
        }

        Assert.Empty(wrong);
        Assert.Equal(golden.VocabularySize, tokenizer.VocabularySize);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Decode_GivenGoldenIds_ShouldGiveTheGoldenTexts(string name)
    {
        (ITokenizer tokenizer, GoldenTokens golden) = Load(name, decoding: true);
        List<string> wrong = [];
        foreach (GoldenTokenCase row in golden.Cases)
        {
            Compare(row.Text, tokenizer.Decode(row.Ids), $"{row.Id} text", wrong);
            if (row.IdsSpecial is null)
            {
                Compare(row.TextSkip, tokenizer.Decode(row.Ids, skipSpecial: true), $"{row.Id} text_skip", wrong);
            }
            else
            {
                Compare(row.TextSpecial!, tokenizer.Decode(row.IdsSpecial), $"{row.Id} text_sp", wrong);
                Compare(row.TextSpecialSkip!, tokenizer.Decode(row.IdsSpecial, skipSpecial: true), $"{row.Id} text_sp_skip", wrong);
            }
        }

        Assert.Empty(wrong);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void StreamingDecoder_GivenGoldenIds_ShouldGiveTheGoldenStream(string name)
    {
        (ITokenizer tokenizer, GoldenTokens golden) = Load(name);
        List<string> wrong = [];
        foreach (GoldenTokenCase row in golden.Cases.Where(row => row.Stream is not null))
        {
            StreamingDecoder decoder = new(tokenizer);
            List<string> parts = [.. row.Ids.Select(decoder.Append)];
            parts.Add(decoder.Flush());
            Compare(string.Join('|', row.Stream!), string.Join('|', parts), $"{row.Id} stream", wrong);
        }

        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData("llama2", "llama-spm")]
    [InlineData("tinyllama", "llama-spm")]
    [InlineData("llama3", "llama-bpe")]
    [InlineData("qwen", "qwen2")]
    public void Encode_GivenConformanceTexts_ShouldGiveTheirIds(string name, string vectors)
    {
        string texts = File.ReadAllText(RepositoryPaths.Shared("data", "tokenizer_vectors", $"ggml-vocab-{vectors}.gguf.inp"));
        string[] expected = File.ReadAllLines(RepositoryPaths.Shared("data", "tokenizer_vectors", $"ggml-vocab-{vectors}.gguf.out"));
        ITokenizer tokenizer = Load(name).Tokenizer;
        string[] inputs = texts.Split("\n__ggml_vocab_test__\n")[..^1];
        List<string> wrong = [];
        for (int i = 0; i < inputs.Length; i++)
        {
            Compare(expected[i].Trim(), string.Join(' ', tokenizer.Encode(inputs[i])), $"text {i}", wrong);
        }

        Assert.Equal(46, inputs.Length);
        Assert.Empty(wrong);
    }

    private static (ITokenizer Tokenizer, GoldenTokens Golden) Load(string name, bool decoding = false) => name switch
    {
        "spm600" or "bpe800" or "llama3style" => (TokenizerFile.Load(RepositoryPaths.Fixture("text", "tokenizers", name)), OwnVectors(name)),
        "spm600_model" => (TokenizerFile.Load(RepositoryPaths.Fixture("text", "tokenizers", "spm600", "tokenizer.model")), OwnVectors(name)),
        "llama3" => (LoadLlama3(), SharedVectors(name)),
        "qwen" => (LoadQwen(decoding), SharedVectors(name)),
        _ => (TokenizerFile.Load(RepositoryPaths.Shared("data", "tokenizers", name)), SharedVectors(name)),
    };

    private static GoldenTokens OwnVectors(string name) =>
        GoldenTokens.Load(RepositoryPaths.Fixture("text", "corpus.json"), RepositoryPaths.Fixture("text", $"tok_{name}.json"));

    private static GoldenTokens SharedVectors(string name) =>
        GoldenTokens.Load(RepositoryPaths.Shared("golden", "text", "corpus.json"), RepositoryPaths.Shared("golden", "text", $"tok_{name}.json"));

    private static BytePairTokenizer LoadLlama3()
    {
        string[] named =
        [
            "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>",
            "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>",
        ];
        IEnumerable<string> reserved = Enumerable.Range(2, 256 - named.Length).Select(number => $"<|reserved_special_token_{number}|>");
        List<AddedToken> special = [.. named.Concat(reserved).Select((text, index) => AddedToken.Special(128000 + index, text))];
        string path = RepositoryPaths.Shared("data", "tokenizers", "llama3", "tokenizer.model");
        string pattern = Gpt4Style.Replace("$COUNT", "{1,3}", StringComparison.Ordinal);
        return RankFile.Build(File.ReadAllBytes(path), path, pattern, TextNormalizer.Read(null), special, prefix: [128000]);
    }

    private static BytePairTokenizer LoadQwen(bool decoding)
    {
        // The vectors take the tokens from <tool_call> on as special when encoding and as ordinary when decoding; a tokenizer.json says one of the two.
        const int firstOrdinary = 14;
        string[] names =
            ("<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> "
            + "<|vision_pad|> <|image_pad|> <|video_pad|> <tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>").Split(' ');
        List<AddedToken> special = [.. names.Select((text, index) => AddedToken.Special(151643 + index, text) with { IsSpecial = !decoding || index < firstOrdinary })];
        string path = RepositoryPaths.Shared("data", "tokenizers", "qwen", "qwen.tiktoken");
        return RankFile.Build(File.ReadAllBytes(path), path, Gpt4Style.Replace("$COUNT", "", StringComparison.Ordinal), TextNormalizer.FormC(), special, prefix: []);
    }

    private static void Compare(int[] expected, int[] actual, string what, List<string> wrong) =>
        Compare(string.Join(' ', expected), string.Join(' ', actual), what, wrong);

    private static void Compare(string expected, string actual, string what, List<string> wrong)
    {
        if (expected != actual && wrong.Count < 10)
        {
            wrong.Add($"{what}: expected {Shown(expected)}, got {Shown(actual)}");
        }
    }

    private static string Shown(string text) => JsonSerializer.Serialize(text.Length < 300 ? text : text[..300]);
}
