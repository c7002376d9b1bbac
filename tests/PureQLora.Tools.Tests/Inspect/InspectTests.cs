using System.Text.Json;

namespace PureQLora.Tools.Tests;

public sealed class InspectTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Theory]
    [InlineData("llama-mha")]
    [InlineData("llama-sharded")]
    [InlineData("mistral-sliding")]
    [InlineData("qwen3")]
    public void Logits_GivenAGoldenModel_ShouldMatchTransformers(string name)
    {
        GoldenModel golden = new(name);
        GoldenTensors actual = Logits(golden.Folder, golden.Rows("input_ids"));
        Assert.Equal(golden.Values.Shape("logits"), actual.Shape("logits"));
        Assert.Equal("F32", actual.DataType("logits"));
        golden.ShouldEqual("logits", actual.Floats("logits"), "logits");
    }

    [Theory]
    [InlineData("lora")]
    [InlineData("rslora")]
    [InlineData("patterns")]
    public void Gradients_GivenAGoldenAdapter_ShouldMatchPeft(string variant)
    {
        GoldenModel model = new("llama-mha");
        GoldenModel golden = new("lora", $"llama-mha--{variant}");
        string output = _temporary["gradients.safetensors"];
        Tool.Inspect(
            "gradients", "--model", model.Folder, "--adapter", golden.Folder, "--token-ids", _temporary.Write("ids.json", model.Rows("input_ids")),
            "--labels", _temporary.Write("labels.json", model.Rows("labels")), "--output", output).ShouldSucceed();
        GoldenTensors actual = GoldenTensors.Read(output);
        golden.ShouldEqual("loss", actual.Floats("loss"), "loss");
        string[] names = [.. golden.Values.Names.Where(name => name.StartsWith("grad.", StringComparison.Ordinal)).Select(name => name[5..])];
        Assert.NotEmpty(names);
        Assert.Equal(names.Append("loss").Order(StringComparer.Ordinal), actual.Names.Order(StringComparer.Ordinal));
        foreach (string name in names)
        {
            Assert.Equal(golden.Values.Shape($"grad.{name}"), actual.Shape(name));
            golden.ShouldEqual($"grad.{name}", actual.Floats(name), "grad");
        }
    }

    [Fact]
    public void Logits_GivenAnAdapter_ShouldMatchPeft()
    {
        GoldenModel golden = new("lora", "llama-mha--lora");
        GoldenModel model = new("llama-mha");
        golden.ShouldEqual("logits", Logits(model.Folder, model.Rows("input_ids"), "--adapter", golden.Folder).Floats("logits"), "logits");
    }

    [Theory]
    [InlineData("gptq_b4_g64_sym")]
    [InlineData("gptq_b4_g64_sym_desc_act")]
    [InlineData("gptq_v2_b4_g64_asym")]
    public void Logits_GivenAForeignGptqCheckpoint_ShouldMatchItsReference(string name)
    {
        string folder = RepositoryPaths.Fixture("quantization", "checkpoints", name);
        GoldenTensors reference = GoldenTensors.Read(Path.Combine(folder, "reference.safetensors"));
        string ids = JsonSerializer.Serialize(reference.Ints("input_ids").Chunk((int)reference.Shape("input_ids")[1]).ToArray());
        double worst = reference.Floats("logits").Zip(Logits(folder, ids).Floats("logits"), (e, a) => Math.Abs((double)e - a)).Max();
        Assert.True(worst <= 1e-4, $"off by {worst:E2}"); // the tolerance that the folder's README suggests
    }

    [Theory]
    [InlineData("[[1, 2, 3], [1, 2]]", "row 2")]
    [InlineData("[[1, 2, 192]]", "191")]
    [InlineData("[[1, -1]]", "191")]
    [InlineData("[[1, 2.5]]", "2.5")]
    [InlineData("[[1, \"2\"]]", "\"2\"")]
    [InlineData("[[]]", "row 1")]
    [InlineData("[]", "no row")]
    [InlineData("[1, 2]", "row 1")]
    [InlineData("{}", "rows")]
    [InlineData("[[1, 2]", "not valid JSON")]
    [InlineData("", "not valid JSON")]
    public void Logits_GivenWrongIds_ShouldRefuse(string ids, string word)
    {
        string output = _temporary["logits.safetensors"];
        Tool.Inspect("logits", "--model", RepositoryPaths.Fixture("models", "llama-mha"), "--token-ids", _temporary.Write("ids.json", ids), "--output", output)
            .ShouldBeRefused("ids.json", word);
        Assert.Equal(["ids.json"], _temporary.Entries);
    }

    [Theory]
    [InlineData("[[-100, 1, 2]]", "row")]
    [InlineData("[[-100, 1], [1, 1]]", "there must be a label for each token")]
    [InlineData("[[1, -100]]", "supervises nothing")]
    [InlineData("[[1, -5]]", "-5")]
    public void Gradients_GivenWrongLabels_ShouldRefuse(string labels, string word) =>
        Tool.Inspect(
            "gradients", "--model", RepositoryPaths.Fixture("models", "llama-mha"), "--adapter", RepositoryPaths.Fixture("models", "bad", "good"),
            "--token-ids", _temporary.Write("ids.json", "[[1, 2]]"), "--labels", _temporary.Write("labels.json", labels), "--output", _temporary["out"])
            .ShouldBeRefused(word);

    [Theory]
    [InlineData("tok_spm600.json", "spm600/tokenizer.json")]
    [InlineData("tok_spm600_model.json", "spm600/tokenizer.model")]
    [InlineData("tok_bpe800.json", "bpe800")]
    public void Tokens_GivenTheCorpus_ShouldGiveTheGoldenIds(string vectors, string tokenizer)
    {
        using JsonDocument corpus = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("text", "corpus.json")));
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("text", vectors)));
        Dictionary<string, string> texts = corpus.RootElement.GetProperty("cases").EnumerateArray().ToDictionary(item => item.GetProperty("id").GetString()!, item => item.GetProperty("text").GetString()!);
        JsonElement[] cases = [.. golden.RootElement.GetProperty("cases").EnumerateArray().Where(item => item.TryGetProperty("ids", out _))];
        string input = _temporary.Write("texts.jsonl", string.Concat(cases.Select(item => JsonSerializer.Serialize(texts[item.GetProperty("id").GetString()!]) + "\n")));
        string path = RepositoryPaths.Fixture(["text", "tokenizers", .. tokenizer.Split('/')]);

        Tool.Inspect("tokens", "--model", path, "--text-file", input, "--output", _temporary["out.jsonl"]).ShouldSucceed();
        string[] lines = File.ReadAllLines(_temporary["out.jsonl"]);
        Assert.Equal(cases.Length, lines.Length);
        foreach ((JsonElement expected, string line) in cases.Zip(lines))
        {
            using JsonDocument actual = JsonDocument.Parse(line);
            string id = expected.GetProperty("id").GetString()!;
            Assert.Equal(["ids", "text"], actual.RootElement.EnumerateObject().Select(property => property.Name));
            Assert.Equal((id, expected.GetProperty("ids").GetRawText().Replace(" ", "", StringComparison.Ordinal)), (id, actual.RootElement.GetProperty("ids").GetRawText()));
            string text = expected.TryGetProperty("text", out JsonElement decoded) ? decoded.GetString()! : texts[id];
            Assert.Equal((id, text), (id, actual.RootElement.GetProperty("text").GetString()));
        }
    }

    [Fact]
    public void Tokens_GivenSpecialOptions_ShouldParseAndAddOnlyThen()
    {
        string model = RepositoryPaths.Fixture("text", "tokenizers", "spm600");
        string input = _temporary.Write("texts.jsonl", "\"a</s>\"\n");
        int[] Ids(params string[] options)
        {
            ToolResult result = Tool.Inspect(["tokens", "--model", model, "--text-file", input, .. options]).ShouldSucceed();
            using JsonDocument line = JsonDocument.Parse(result.Output);
            return [.. line.RootElement.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        }

        int[] plain = Ids();
        Assert.DoesNotContain(2, plain);
        Assert.DoesNotContain(1, plain);
        Assert.Equal(2, Ids("--parse-special")[^1]);
        Assert.Equal([1, .. plain], Ids("--add-special"));
    }

    [Theory]
    [InlineData("\"good\"\nplain\n", "line 2")]
    [InlineData("\"good\"\n\n7\n", "line 3")]
    [InlineData("null", "line 1")]
    [InlineData("\"\\ud800\"", "surrogate")]
    [InlineData("[\"a\"]", "line 1")]
    public void Tokens_GivenALineThatIsNoString_ShouldNameTheLine(string text, string word)
    {
        Tool.Inspect("tokens", "--model", RepositoryPaths.Fixture("text", "tokenizers", "spm600"), "--text-file", _temporary.Write("t.jsonl", text), "--output", _temporary["out.jsonl"])
            .ShouldBeRefused("t.jsonl", word);
        Assert.Equal(["t.jsonl"], _temporary.Entries);
    }

    [Fact]
    public void Model_GivenAFolder_ShouldNameItsParts()
    {
        string output = Tool.Inspect("model", RepositoryPaths.Fixture("quantization", "checkpoints", "gptq_b4_g64_sym")).ShouldSucceed().Output;
        Assert.Contains("LlamaForCausalLM", output, StringComparison.Ordinal);
        Assert.Contains("model.layers.0.self_attn.q_proj", output, StringComparison.Ordinal);
        Assert.Contains("int4[128, 128]", output, StringComparison.Ordinal);
    }

    private GoldenTensors Logits(string model, string ids, params string[] more)
    {
        string output = _temporary["logits.safetensors"];
        Tool.Inspect(["logits", "--model", model, "--token-ids", _temporary.Write("ids.json", ids), "--output", output, .. more]).ShouldSucceed();
        return GoldenTensors.Read(output);
    }
}
