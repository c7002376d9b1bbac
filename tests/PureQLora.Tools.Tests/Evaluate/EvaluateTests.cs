using System.Text.Json;

namespace PureQLora.Tools.Tests;

public sealed class EvaluateTests : IDisposable
{
    private const string Problem = """{"question": "Tom has 3 apples and buys 4. How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"}""";

    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Theory]
    [InlineData("gsm8k", "strict", "strict-match")]
    [InlineData("gsm8k", "flexible", "flexible-extract")]
    [InlineData("gsm8k_cot", "strict", "strict-match")]
    [InlineData("gsm8k_cot_zeroshot", "strict", "strict-match")]
    [InlineData("gsm8k_cot_llama", "flexible", "flexible-extract")]
    [InlineData(null, "openai", null)]
    [InlineData(null, "metamath", null)]
    public void Score_GivenTheGoldenTexts_ShouldGiveTheirVerdicts(string? task, string rule, string? filter)
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("text", "scoring.json")));
        JsonElement[] cases = [.. golden.RootElement.GetProperty("cases").EnumerateArray()];
        string references = _temporary.Write("r.jsonl", Lines(cases, "answer"));
        string predictions = _temporary.Write("p.jsonl", Lines(cases, "generated"));
        string[] taskOption = task is null ? [] : ["--task", task];
        ToolResult result = Tool.Evaluate(
            ["score", "--references", references, "--predictions", predictions, "--rule", rule, "--output", _temporary["out.jsonl"], .. taskOption]).ShouldSucceed();
        Assert.Contains(" ± ", result.Output, StringComparison.Ordinal);
        string[] lines = File.ReadAllLines(_temporary["out.jsonl"]);
        Assert.Equal(cases.Length, lines.Length);
        foreach ((JsonElement pair, string line) in cases.Zip(lines))
        {
            JsonElement expected = filter is null ? pair.GetProperty(rule) : pair.GetProperty(task!).GetProperty(filter);
            using JsonDocument actual = JsonDocument.Parse(line);
            string id = pair.GetProperty("id").GetString()!;
            Assert.Equal(["extracted", "correct"], actual.RootElement.EnumerateObject().Select(property => property.Name));
            Assert.Equal((id, expected[0].GetString()), (id, actual.RootElement.GetProperty("extracted").GetString()));
            bool? correct = expected[1].ValueKind == JsonValueKind.Null ? null : expected[1].GetInt32() == 1;
            JsonElement verdict = actual.RootElement.GetProperty("correct");
            Assert.Equal((id, correct), (id, verdict.ValueKind == JsonValueKind.Null ? null : verdict.GetBoolean()));
        }
    }

    [Theory]
    [InlineData("{\"answer\": \"#### 1\"}\n{\"answer\": \"#### 2\"}", "{\"generated\": \"1\"}", "2 references and 1 predictions")]
    [InlineData("{\"answer\": \"#### 1\"}\nnot json", "{\"generated\": \"1\"}", "r.jsonl, line 2")]
    [InlineData("{\"answer\": \"#### 1\"}", "{\"text\": \"1\"}", "\"generated\" is missing")]
    [InlineData("{\"answer\": 1}", "{\"generated\": \"1\"}", "needed is a string")]
    [InlineData("", "{\"generated\": \"1\"}", "no record")]
    public void Score_GivenBadFiles_ShouldRefuse(string references, string predictions, string word)
    {
        Tool.Evaluate("score", "--references", _temporary.Write("r.jsonl", references), "--predictions", _temporary.Write("p.jsonl", predictions), "--rule", "strict", "--output", _temporary["out.jsonl"])
            .ShouldBeRefused(word);
        Assert.Equal(["p.jsonl", "r.jsonl"], _temporary.Entries);
    }

    [Fact]
    public void Perplexity_GivenTokenIds_ShouldEqualWhatTheLogitsSay()
    {
        const int Vocabulary = 192;
        string model = RepositoryPaths.Fixture("models", "llama-mha");
        int[][] rows = [[5, 9, 100, 3, 77, 12], [8, 8, 191, 4, 60, 2]];
        int[][] shifted = [.. rows.Select(row => (int[])[1, .. row[..^1]])]; // BOS takes the place of the last token
        Tool.Inspect("logits", "--model", model, "--token-ids", _temporary.Write("shifted.json", JsonSerializer.Serialize(shifted)), "--output", _temporary["logits"]).ShouldSucceed();
        double[] logits = GoldenTensors.Read(_temporary["logits"]).Doubles("logits");
        double nll = rows.SelectMany(row => row).Select((target, position) =>
        {
            double[] row = logits[(position * Vocabulary)..((position + 1) * Vocabulary)];
            return Math.Log(row.Sum(logit => Math.Exp(logit))) - row[target];
        }).Average();

        Tool.Evaluate("perplexity", "--model", model, "--token-ids", _temporary.Write("ids.json", JsonSerializer.Serialize(rows)), "--precision", "float32", "--output", _temporary["out.json"]).ShouldSucceed();
        using JsonDocument result = JsonDocument.Parse(File.ReadAllText(_temporary["out.json"]));
        Assert.Equal(["perplexity", "nll", "tokens", "precision", "device"], result.RootElement.EnumerateObject().Select(property => property.Name));
        Assert.Equal("float32", result.RootElement.GetProperty("precision").GetString());
        Assert.Equal(12, result.RootElement.GetProperty("tokens").GetInt32());
        Assert.Equal(nll, result.RootElement.GetProperty("nll").GetDouble(), 1e-5); // float32 logits
        Assert.Equal(Math.Exp(nll), result.RootElement.GetProperty("perplexity").GetDouble(), Math.Exp(nll) * 1e-5);
    }

    [Fact]
    public void Perplexity_GivenText_ShouldPredictEveryToken()
    {
        string model = SmallModel.Write(_temporary["model"]);
        string text = _temporary.Write("text.txt", "Once upon a time there was a small model that had learnt nothing.");
        Tool.Evaluate("perplexity", "--model", model, "--text", text, "--window", "8", "--output", _temporary["out.json"]).ShouldSucceed();
        ToolResult tokens = Tool.Inspect("tokens", "--model", model, "--text-file", _temporary.Write("t.jsonl", JsonSerializer.Serialize(File.ReadAllText(text)))).ShouldSucceed();
        using JsonDocument ids = JsonDocument.Parse(tokens.Output);
        using JsonDocument result = JsonDocument.Parse(File.ReadAllText(_temporary["out.json"]));
        Assert.Equal(ids.RootElement.GetProperty("ids").GetArrayLength(), result.RootElement.GetProperty("tokens").GetInt32());
    }

    [Fact]
    public void Perplexity_GivenARealModel_ShouldMatchTheReferenceTable()
    {
        string model = RepositoryPaths.Shared("golden", "models_real", "stories260K");
        GoldenTensors golden = GoldenTensors.Read(RepositoryPaths.Shared("golden", "quantization", "perplexity", "stories260K.safetensors"));
        int[][] rows = [.. golden.Ints("eval_ids").Chunk((int)golden.Shape("eval_ids")[1])];
        Tool.Evaluate("perplexity", "--model", model, "--token-ids", _temporary.Write("ids.json", JsonSerializer.Serialize(rows)), "--precision", "float32", "--output", _temporary["out.json"]).ShouldSucceed();
        using JsonDocument result = JsonDocument.Parse(File.ReadAllText(_temporary["out.json"]));
        Assert.Equal(golden.Doubles("nll fp32").Average(), result.RootElement.GetProperty("nll").GetDouble(), 1e-4); // as the README suggests
    }

    [Fact]
    public void Perplexity_GivenNeitherOrBothInputs_ShouldRefuse()
    {
        string model = RepositoryPaths.Fixture("models", "llama-mha");
        Tool.Evaluate("perplexity", "--model", model).ShouldBeRefused("--text", "--token-ids");
        Tool.Evaluate("perplexity", "--model", model, "--text", "a", "--token-ids", "b").ShouldBeRefused("--text", "--token-ids");
        Tool.Evaluate("perplexity", "--model", model, "--token-ids", _temporary.Write("ids.json", "[[500]]")).ShouldBeRefused("191");
        Tool.Evaluate("perplexity", "--model", model, "--text", _temporary["absent.txt"]).ShouldBeRefused("absent.txt");
    }

    [Theory]
    [InlineData("{\"question\": \"q\", \"answer\": \"seven\"}", "####")]
    [InlineData("{\"question\": \"q\", \"answer\": 7}", "needed is a string")]
    [InlineData("", "no record")]
    [InlineData("{\"question\": \"q\", \"answer\": \"#### 7\"}\n{oops", "line 2")]
    public void Gsm8k_GivenBadData_ShouldRefuse(string data, string word)
    {
        Tool.Evaluate("gsm8k", "--model", RepositoryPaths.Fixture("models", "llama-mha"), "--data", _temporary.Write("d.jsonl", data), "--output", _temporary["out"]).ShouldBeRefused("d.jsonl", word);
        Assert.Equal(["d.jsonl"], _temporary.Entries);
    }

    [Theory]
    [InlineData("--limit 0", "--limit")]
    [InlineData("--rule loose", "strict")]
    [InlineData("--task gsm9k", "gsm8k_cot_llama")]
    [InlineData("--shots 5", "--shot-data")]
    [InlineData("--batch-size 0", "batch size")]
    [InlineData("--adapter a --adapters b", "--adapters")]
    [InlineData("--device npu", "cuda")]
    [InlineData("--threads -1", "--threads")]
    [InlineData("--precision half", "bfloat16")]
    [InlineData("--limit many", "--limit")]
    [InlineData("--unknown", "--unknown")]
    public void Gsm8k_GivenBadOptions_ShouldRefuse(string options, string word) =>
        Tool.Evaluate(["gsm8k", "--model", RepositoryPaths.Fixture("models", "llama-mha"), "--data", _temporary.Write("d.jsonl", Problem), .. options.Split(' ')]).ShouldBeRefused(word);

    [Fact]
    public void Gsm8k_GivenBadFolders_ShouldRefuse()
    {
        string model = SmallModel.Write(_temporary["model"]);
        string data = _temporary.Write("d.jsonl", Problem);
        Directory.CreateDirectory(_temporary["run"]);
        Tool.Evaluate("gsm8k", "--model", model, "--data", data, "--adapters", _temporary["run"]).ShouldBeRefused("step-N");
        Tool.Evaluate("gsm8k", "--model", model, "--data", data, "--output", model).ShouldBeRefused("not empty");
        Tool.Evaluate("gsm8k", "--model", model, "--data", data, "--adapter", RepositoryPaths.Fixture("models", "train", "qwen2--lora", "final")).ShouldBeRefused("adapter_model.safetensors");
    }

    private static string Lines(JsonElement[] cases, string name) =>
        string.Concat(cases.Select(pair => JsonSerializer.Serialize(new Dictionary<string, string> { [name] = pair.GetProperty(name).GetString()! }) + "\n"));
}
