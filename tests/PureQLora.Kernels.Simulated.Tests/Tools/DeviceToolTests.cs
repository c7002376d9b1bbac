using PureQLora.Tools;
using PureQLora.Tools.Tests;
using PureQLora.Training;

namespace PureQLora.Kernels.Tests;

/// <summary>The tools as their users meet them, with a GPU that is simulated.</summary>
public sealed class DeviceToolTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _model;

    public DeviceToolTests() => _model = SmallModel.Write(_folder["model"]);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Train_GivenAGpu_ShouldPlanTrainMeasureAndReport()
    {
        using SimulatedGpu gpu = new(() => new SimulatedDevice());

        ToolResult result = Tool.Train([.. Short("run"), "--device", "cuda", "--eval-data", Problem(), "--set", "evaluation.maxNewTokens=2"]).ShouldSucceed();

        Assert.Contains("device        cuda, simulation\n", result.Output, StringComparison.Ordinal);
        Assert.Contains("memory        training ", result.Output, StringComparison.Ordinal);
        Assert.Contains("memory        evaluation ", result.Output, StringComparison.Ordinal);
        foreach (string part in new[] { "weights", "adapters", "optimiser", "activations", "workspace", "keys and values" })
        {
            Assert.Contains(part, result.Output, StringComparison.Ordinal);
        }

        Assert.Contains("RTN int4 + LoRA", result.Output, StringComparison.Ordinal);
        Assert.All(Directory.GetFiles(_folder["run/eval"], "*.json"), file => Assert.Contains("cuda, simulation", File.ReadAllText(file), StringComparison.Ordinal));
        Assert.True(File.Exists(_folder["run/adapter/adapter_model.safetensors"]));
    }

    [Fact]
    public void Train_GivenAGpuThatIsLost_ShouldSayWhatIsKeptInOneSentence()
    {
        using (SimulatedGpu gpu = new(() => new FailingDevice(launches: 30)))
        {
            Tool.Train([.. Short("run"), "--device", "cuda", "--set", "evaluation.enabled=false"])
                .ShouldFail(ToolProgram.Failure, "does not answer any more", "No checkpoint had been saved yet");
        }

        using SimulatedGpu again = new(() => new SimulatedDevice());
        Tool.Train("--resume", _folder["run"], "--device", "auto").ShouldSucceed();
    }

    [Fact]
    public void Train_GivenASmallGpu_ShouldSayWhichSettingWouldDo()
    {
        using SimulatedGpu gpu = new(() => new SimulatedDevice(MemoryPlanner.DriverShare + (3 << 20)));

        Tool.Train([.. Short("run"), "--device", "cuda", "--set", "evaluation.enabled=false", "--set", "training.batchSize=64"])
            .ShouldBeRefused("training needs", "each of these alone would do", "training.batchSize=");
        Assert.False(Directory.Exists(_folder["run"]));
    }

    [Fact]
    public void Generate_GivenAGpu_ShouldWriteWhatTheCpuWrites()
    {
        string adapter = SmallModel.WriteAdapter(_model, _folder["adapter"]);
        string Text(string device) => Tool.Generate(
            "--model", _model, "--adapter", adapter, "--prompt", "Once upon", "--max-new-tokens", "5", "--precision", "float32", "--device", device).ShouldSucceed().Output;
        string expected = Text("cpu");
        using SimulatedGpu gpu = new(() => new SimulatedDevice());

        Assert.Equal(expected, Text("cuda"));
    }

    [Fact]
    public void Evaluate_GivenAGpu_ShouldMeasureWhatTheCpuMeasures()
    {
        string ids = _folder.Write("ids.json", "[[5, 6, 7, 8, 9, 10], [11, 12, 13]]");
        using SimulatedGpu gpu = new(() => new SimulatedDevice());
        PerplexityResult[] results = [.. new[] { "cpu", "auto" }.Select(device =>
        {
            string output = _folder[$"{device}.json"];
            ToolResult result = Tool.Evaluate("perplexity", "--model", _model, "--token-ids", ids, "--precision", "float32", "--output", output, "--device", device).ShouldSucceed();
            Assert.Contains(device == "cpu" ? "device  cpu" : "device  cuda, simulation (auto: a GPU is there)", result.Output, StringComparison.Ordinal);
            return System.Text.Json.JsonSerializer.Deserialize<PerplexityResult>(File.ReadAllText(output))!;
        })];

        Assert.Equal(results[0].Nll, results[1].Nll, 1e-5);
        ToolResult match = Tool.Evaluate("gsm8k", "--model", _model, "--data", Problem(), "--max-new-tokens", "2", "--device", "cuda").ShouldSucceed();
        Assert.Contains("memory  evaluation ", match.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Inspect_GivenAGpu_ShouldGiveTheLogitsOfTheCpu()
    {
        string ids = _folder.Write("ids.json", "[[5, 6, 7, 8]]");
        using SimulatedGpu gpu = new(() => new SimulatedDevice());
        float[][] logits = [.. new[] { "cpu", "cuda" }.Select(device =>
        {
            ToolResult result = Tool.Inspect("logits", "--model", _model, "--token-ids", ids, "--output", _folder[$"{device}.safetensors"], "--device", device).ShouldSucceed();
            Assert.Equal(device == "cuda", result.Error.Contains("memory  logits ", StringComparison.Ordinal));
            return GoldenTensors.Read(_folder[$"{device}.safetensors"]).Floats("logits");
        })];

        GoldenTolerances.Near(1e-4, logits[0], logits[1], "logits");
    }

    [Fact]
    public void Inspect_GivenASmallGpu_ShouldSayWhichRowsWouldDo()
    {
        string ids = _folder.Write("ids.json", Rows(8, 200));
        string[] logits = ["logits", "--model", _model, "--token-ids", ids, "--output", _folder["logits.safetensors"], "--device", "cuda"];
        using (SimulatedGpu gpu = new(() => new SimulatedDevice(MemoryPlanner.DriverShare + (6 << 20))))
        {
            Tool.Inspect(logits).ShouldBeRefused("logits needs", "each of these alone would do: rows of --token-ids=", "tokens of each row=");
        }

        using (SimulatedGpu gpu = new(() => new SimulatedDevice(MemoryPlanner.DriverShare + (600 << 10))))
        {
            Tool.Inspect(logits).ShouldBeRefused("logits needs", "neither fewer nor shorter rows in --token-ids would do", "--device cpu");
        }

        Assert.False(File.Exists(_folder["logits.safetensors"]));
    }

    [Fact]
    public void Inspect_GivenAGpu_ShouldPlanGradientsAndRefuseWhatDoesNotFit()
    {
        string adapter = SmallModel.WriteAdapter(_model, _folder["adapter"]);
        string[] Gradients(string ids) =>
            ["gradients", "--model", _model, "--adapter", adapter, "--token-ids", ids, "--labels", ids, "--output", _folder["gradients.safetensors"], "--device", "cuda"];
        using (SimulatedGpu gpu = new(() => new SimulatedDevice(MemoryPlanner.DriverShare + (6 << 20))))
        {
            Tool.Inspect(Gradients(_folder.Write("many.json", Rows(8, 100)))).ShouldBeRefused("gradients needs", "adapters", "rows of --token-ids=");
            Assert.False(File.Exists(_folder["gradients.safetensors"]));
        }

        using SimulatedGpu large = new(() => new SimulatedDevice());
        Assert.Contains("memory  gradients ", Tool.Inspect(Gradients(_folder.Write("few.json", Rows(1, 4)))).ShouldSucceed().Error, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Slow")]
    public void Pretrain_GivenASmallGpu_ShouldRefuseAndLeaveNothing()
    {
        using SimulatedGpu gpu = new(() => new SimulatedDevice(MemoryPlanner.DriverShare + (100 << 20)));

        ToolResult result = Tool.Train("--pretrain", _folder["made"], "--device", "cuda");

        result.ShouldBeRefused("pretraining needs", "gradients", "end what else uses the GPU, take one with more memory, or use --device cpu.");
        Assert.Contains("memory        pretraining ", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.GetFileSystemEntries(_folder.Path), path => path.Contains("made", StringComparison.Ordinal));
    }

    [Fact]
    public void Tools_GivenInt8OnAGpu_ShouldRefuse()
    {
        using SimulatedGpu gpu = new(() => new SimulatedDevice());

        Tool.Generate("--model", _model, "--prompt", "a", "--precision", "int8", "--device", "cuda").ShouldBeRefused("int8", "--device cpu");
    }

    private string Problem() => _folder.Write("problem.jsonl", """{"question": "9 + 1?", "answer": "#### 10"}""");

    private static string Rows(int count, int length) => $"[{string.Join(", ", Enumerable.Repeat($"[{string.Join(", ", Enumerable.Range(5, length))}]", count))}]";

    private string Data() => _folder.Write(
        "train.jsonl", string.Concat(Enumerable.Range(1, 6).Select(i => $$"""{"question":"{{i}} + 1?","answer":"#### {{i + 1}}"}""" + "\n")));

    private string[] Short(string output) =>
    [
        "--model", _model, "--data", Data(), "--output", _folder[output], "--threads", "1",
        "--set", "training.steps=1", "--set", "training.batchSize=1", "--set", "lora.targets=v_proj", "--set", "lora.rank=2",
        "--set", "quantization.groupSize=32", "--set", "quantization.method=roundToNearest",
    ];
}
