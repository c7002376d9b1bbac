using System.Text.Json;

namespace PureQLora.Tools.Tests;

public sealed class Gsm8kTests : IDisposable
{
    private const string Problems = """
        {"question": "Tom has 3 apples and buys 4. How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"}
        {"question": "Ann had 9 pens and lost 2. How many?", "answer": "9 - 2 = <<9-2=7>>7\n#### 7"}
        {"question": "Two bags hold 5 nuts each. How many?", "answer": "2 * 5 = <<2*5=10>>10\n#### 10"}
        """;

    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public void Gsm8k_GivenTheCheckpointsOfARun_ShouldMeasureEachAndDrawAChart()
    {
        string model = SmallModel.Write(_temporary["model"]);
        foreach (int step in (int[])[2, 10])
        {
            SmallModel.WriteAdapter(model, Path.Combine(_temporary["run"], "checkpoints", $"step-{step}"));
        }

        ToolResult result = Tool.Evaluate(
            "gsm8k", "--model", model, "--adapters", _temporary["run"], "--data", _temporary.Write("d.jsonl", Problems), "--limit", "2", "--batch-size", "2",
            "--max-new-tokens", "8", "--output", _temporary["out"]).ShouldSucceed();
        Assert.Equal(
            ["base.json", "report.html", "step-10.json", "step-2.json"], Directory.GetFiles(_temporary["out"]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        Assert.Equal(6, result.Output.Split('\n').Count(line => line.StartsWith("right ", StringComparison.Ordinal) || line.StartsWith("wrong ", StringComparison.Ordinal)));
        Assert.True(result.Output.IndexOf("step-2", StringComparison.Ordinal) < result.Output.IndexOf("step-10", StringComparison.Ordinal));
        string report = File.ReadAllText(Path.Combine(_temporary["out"], "report.html"));
        Assert.Contains("<svg", report, StringComparison.Ordinal);
        Assert.Contains("step-10", report, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(Path.Combine(_temporary["out"], "step-10.json")));
        Assert.Equal(2, json.RootElement.GetProperty("count").GetInt32());
        JsonElement[] samples = [.. json.RootElement.GetProperty("samples").EnumerateArray()];
        Assert.Equal("Tom has 3 apples and buys 4. How many?", samples[0].GetProperty("question").GetString());
        Assert.NotEqual("", samples[0].GetProperty("generated").GetString());
    }

    [Fact]
    public void Gsm8k_GivenCtrlC_ShouldStopAndKeepOnlyWholeFiles()
    {
        string model = SmallModel.Write(_temporary["model"]);
        string adapter = SmallModel.WriteAdapter(model, _temporary["adapter"]);
        using CancellingWriter output = new("expected 7");
        ToolResult result = Tool.Run(
            PureQLora.Tools.Evaluate.Program.Main,
            ["gsm8k", "--model", model, "--adapter", adapter, "--data", _temporary.Write("d.jsonl", Problems), "--batch-size", "1", "--max-new-tokens", "4", "--output", _temporary["out"]],
            output);
        result.ShouldFail(ToolProgram.Failure, "Cancelled");
        Assert.Equal(["adapter", "d.jsonl", "model"], _temporary.Entries);
    }
}
