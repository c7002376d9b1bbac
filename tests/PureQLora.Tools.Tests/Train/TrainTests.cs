using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Tests.Train;

/// <summary><c>tools/Train</c> as its users meet it.</summary>
public sealed class TrainTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _model;

    public TrainTests() => _model = SmallModel.Write(_folder["model"]);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Train_GivenModelAndGeneratedProblems_ShouldMeasureQuantiseTrainAndReport()
    {
        ToolResult result = Tool.Train([.. Short("run"), "--set", "evaluation.limit=3", "--set", "evaluation.maxNewTokens=4"]).ShouldSucceed();

        Assert.Contains("⟦", result.Output, StringComparison.Ordinal);
        Assert.Contains("trainable", result.Output, StringComparison.Ordinal);
        Assert.Contains("tokens/s", result.Output, StringComparison.Ordinal);
        foreach (string stage in new[] { "full precision", "GPTQ int4", "GPTQ int4 + LoRA" })
        {
            Assert.Contains(stage, result.Output, StringComparison.Ordinal);
        }

        Assert.Contains("old families: ", result.Output, StringComparison.Ordinal);
        Assert.Equal(6, Directory.GetFiles(_folder["run/eval"], "*.json").Length);
        Assert.Contains("<svg", File.ReadAllText(_folder["run/report.html"]), StringComparison.Ordinal);

        DateTime measured = File.GetLastWriteTimeUtc(Directory.GetFiles(_folder["run/eval"])[0]);
        Tool.Train("--resume", _folder["run"]).ShouldSucceed();
        Assert.Equal(measured, File.GetLastWriteTimeUtc(Directory.GetFiles(_folder["run/eval"])[0]));
    }

    [Fact]
    public void Train_GivenCancellation_ShouldSaveSayHowToGoOnAndEndWithFailure()
    {
        using CancellingWriter output = new("trainable");
        ToolResult result = Tool.Run(PureQLora.Tools.Train.Program.Main, [.. Short("run"), .. NoEvaluation], output);

        result.ShouldFail(ToolProgram.Failure, "Stopped after step 1 of 6", "--resume", _folder["run"]);
        Assert.Equal([1], CheckpointStore.Find(_folder["run/checkpoints"]).Select(found => found.Step));
        Tool.Train("--resume", _folder["run"]).ShouldSucceed();
        Assert.True(File.Exists(_folder["run/adapter/adapter_model.safetensors"]));
    }

    [Fact]
    public void Train_GivenDataFileAndProblems_ShouldTrainOnTheOneAndMeasureTheOther()
    {
        string data = _folder.Write("train.jsonl", string.Concat(Enumerable.Range(1, 6).Select(i => $$"""{"question":"What is {{i}} + 1?","answer":"{{i}}+1=<<{{i}}+1={{i + 1}}>>{{i + 1}}\n#### {{i + 1}}"}""" + "\n")));
        string test = _folder.Write("held-out.jsonl", """{"question":"What is 9 + 1?","answer":"#### 10"}""");

        ToolResult result = Tool.Train(
            "--model", _model, "--data", data, "--eval-data", test, "--output", _folder["run"], "--threads", "1",
            "--set", "evaluation.maxNewTokens=2", "--set", "quantization.enabled=false", "--set", "training.steps=2").ShouldSucceed();

        Assert.Contains("full precision + LoRA", result.Output, StringComparison.Ordinal);
        Assert.Contains("held-out", result.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["run/quantized"]));
    }

    [Fact]
    public void Train_GivenNf4_ShouldTrainOnItAndStoreItAsBitsAndBytesDoes()
    {
        string[] arguments =
            [.. Short("run"), .. NoEvaluation, "--set", "quantization.method=nf4", "--set", "quantization.doubleQuantization=true", "--set", "quantization.blockSize=128"];

        ToolResult result = Tool.Train(arguments).ShouldSucceed();

        Assert.Contains("quantised", result.Output, StringComparison.Ordinal);
        using ModelFolder quantized = ModelFolder.Open(_folder["run/quantized"], _folder["run/adapter"]);
        Assert.All(quantized.Model.Linears, layer => Assert.Same(CodeBook.NormalFloat4, layer.Weight.Quantized!.CodeBook));
        BlockwiseMatrix stored = BitsAndBytesCheckpoint.ReadLayer(quantized.Checkpoint, "model.layers.0.mlp.up_proj");
        Assert.Equal((128, true), (stored.BlockSize, stored.Nested is not null));

        // A base that is quantised already is taken as it is.
        Tool.Train(
            "--model", _folder["run/quantized"], "--output", _folder["again"], "--threads", "1", "--set", "data.wordProblems.newProblems=12", "--set", "data.wordProblems.oldProblems=6",
            "--set", "data.maxLength=192", "--set", "training.steps=2", "--set", "evaluation.enabled=false").ShouldSucceed();
        Assert.False(Directory.Exists(_folder["again/quantized"]));
    }

    [Theory]
    [InlineData("quantization.bits=3", "quantization.bits")]
    [InlineData("quantization.distillSteps=5", "quantization.distillSteps")]
    [InlineData("lora.init=loftq", "lora.init")]
    [InlineData("lora.init=error", "lora.init")]
    public void Train_GivenNf4WithWhatItDoesNotHave_ShouldRefuse(string setting, string key) =>
        Tool.Train([.. Short("run"), "--set", "quantization.method=nf4", "--set", setting]).ShouldBeRefused(key, "nf4");

    [Theory]
    [InlineData("lora.rnak=8", "lora.rank")]
    [InlineData("lora.rank=0", "lora.rank is 0")]
    [InlineData("training.batchSize=many", "training.batchSize", "whole number")]
    [InlineData("quantization.method=awq", "gptq", "roundToNearest", "nf4")]
    [InlineData("quantization.blockSize=48", "48", "powers of two")]
    [InlineData("lora", "section.key=value")]
    public void Train_GivenBadSetting_ShouldRefuseInOneSentenceAndLeaveNothing(string setting, params string[] words)
    {
        Tool.Train([.. Short("run"), "--set", setting]).ShouldBeRefused(words);
        Assert.False(Directory.Exists(_folder["run"]));
    }

    [Fact]
    public void Train_GivenWrongPaths_ShouldNameThem()
    {
        Tool.Train("--model", _folder["absent"], "--output", _folder["run"]).ShouldBeRefused("absent");
        Tool.Train(_folder["absent.json"]).ShouldBeRefused("absent.json");
        Tool.Train("--resume", _folder["absent"]).ShouldBeRefused("no run to resume");
        Tool.Train("--model", _model, "--data", _folder["absent.jsonl"], "--output", _folder["run"]).ShouldBeRefused("absent.jsonl");
        Tool.Train([.. Short("model")]).ShouldBeRefused("not empty");
        Tool.Train("--resume", _folder["run"], "--output", _folder["other"]).ShouldBeRefused("--output");
        Assert.Equal(["model"], _folder.Entries);
    }

    [Fact]
    public void Recipes_GivenThoseThatComeWithTheTool_ShouldBeValid()
    {
        string[] recipes = Directory.GetFiles(Path.Combine(RepositoryPaths.Root, "tools", "Train", "recipes"), "*.json");

        Assert.True(recipes.Length >= 4);
        Assert.All(recipes, path => RecipeReader.Read(path, []).Validate());
    }

    private static string[] NoEvaluation => ["--set", "evaluation.enabled=false"];

    private string[] Short(string output) =>
    [
        "--model", _model, "--output", _folder[output], "--threads", "1", "--set", "data.wordProblems.newProblems=12", "--set", "data.wordProblems.oldProblems=6", "--set", "data.maxLength=192",
        "--set", "training.steps=6", "--set", "training.saveEvery=2", "--set", "quantization.groupSize=32", "--set", "quantization.calibrationSamples=4",
    ];
}
