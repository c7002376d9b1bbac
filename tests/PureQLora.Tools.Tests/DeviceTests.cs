using PureQLora.Kernels;

namespace PureQLora.Tools.Tests;

/// <summary>What <c>--device</c> means where there is no GPU.</summary>
public sealed class DeviceTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();
    private readonly string _model;
    private readonly Func<PureQLora.Core.IDeviceBackend> _before = DeviceChoice.OpenGpu;

    public DeviceTests()
    {
        _model = SmallModel.Write(_temporary["model"]);
        DeviceChoice.OpenGpu = () => throw new DeviceMissingException("no NVIDIA driver was found", "install the driver");
    }

    public void Dispose()
    {
        DeviceChoice.OpenGpu = _before;
        _temporary.Dispose();
    }

    [Fact]
    public void Cuda_GivenNoGpu_ShouldBeRefusedByEveryToolInOneSentence()
    {
        string problem = _temporary.Write("problem.jsonl", """{"question": "1 + 1?", "answer": "#### 2"}""");
        string ids = _temporary.Write("ids.json", "[[1, 2]]");
        string[] words = ["--device cuda finds no GPU: no NVIDIA driver was found; install the driver, or use --device cpu."];

        Tool.Train("--model", _model, "--output", _temporary["run"], "--device", "cuda").ShouldBeRefused(words);
        Tool.Generate("--model", _model, "--prompt", "a", "--device", "cuda").ShouldBeRefused(words);
        Tool.Evaluate("gsm8k", "--model", _model, "--data", problem, "--device", "cuda").ShouldBeRefused(words);
        Tool.Evaluate("perplexity", "--model", _model, "--token-ids", ids, "--device", "cuda").ShouldBeRefused(words);
        Tool.Inspect("logits", "--model", _model, "--token-ids", ids, "--output", _temporary["logits"], "--device", "cuda").ShouldBeRefused(words);
        Tool.Quantize("--model", _model, "--output", _temporary["quantized"], "--method", "rtn", "--device", "cuda").ShouldBeRefused("cuda", "--device cpu");
        Assert.Equal(["ids.json", "model", "problem.jsonl"], _temporary.Entries);
    }

    [Fact]
    public void Auto_GivenNoGpu_ShouldTakeTheCpuAndSayWhy()
    {
        string ids = _temporary.Write("ids.json", "[[1, 2, 3]]");

        ToolResult result = Tool.Evaluate("perplexity", "--model", _model, "--token-ids", ids).ShouldSucceed();

        Assert.Matches(@"^device  cpu, .* \(auto: no NVIDIA driver was found\); ", result.Output);
    }

    [Fact]
    public void OpenGpu_GivenThisMachine_ShouldGiveABackendOrAReason()
    {
        try
        {
            using PureQLora.Core.IDeviceBackend backend = _before();
            Assert.Equal("cuda", backend.Name);
        }
        catch (DeviceMissingException missing)
        {
            Assert.StartsWith("--device cuda finds no GPU: ", missing.Message, StringComparison.Ordinal);
            Assert.EndsWith(", or use --device cpu.", missing.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>Slow, but it is the real path: the tools with the kernels they were built with.</summary>
    [Fact]
    public void Simulation_GivenAPrompt_ShouldWriteWhatTheCpuWrites()
    {
        string Text(string device) =>
            Tool.Generate("--model", _model, "--prompt", "On", "--max-new-tokens", "1", "--precision", "float32", "--device", device).ShouldSucceed().Output;

        Assert.Equal(Text("cpu"), Text("simulation"));
    }
}
