using System.Runtime.InteropServices;
using System.Text.Json;
using PureQLora.Tools.Bench;

namespace PureQLora.Tools.Tests;

public sealed class GpuTests
{
    /// <summary>What is missing depends on whether ILGPU was there when the tools were built.</summary>
    private const string NoGpu = "--device cuda finds no GPU: (no NVIDIA driver was found|this build has no ILGPU)";

    public static TheoryData<string> Measurements => [.. GpuPart.All.Where(part => part is not GpuTestPart).Select(part => part.Name)];

    [Fact]
    public void Gpu_GivenNoDriver_ShouldSayInOneSentenceWhatIsMissing()
    {
        Assert.SkipWhen(NativeLibrary.TryLoad("libcuda.so.1", out _), "There is a driver.");

        ToolResult result = Tool.Bench("gpu", "--output", Path.Combine(Path.GetTempPath(), Path.GetRandomFileName()));

        Assert.Equal(ToolProgram.UserMistake, result.ExitCode);
        Assert.Matches(NoGpu, result.Error);
        Assert.Single(result.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void Gpu_GivenAnUnknownPart_ShouldNameTheParts()
    {
        ToolResult result = Tool.Bench("gpu", "--only", "product");

        Assert.Equal(ToolProgram.UserMistake, result.ExitCode);
        Assert.Contains("products, few-rows", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Limits_OfAllParts_ShouldBeTenMinutes() => Assert.Equal(TimeSpan.FromMinutes(10), TimeSpan.FromTicks(GpuPart.All.Sum(part => part.Limit.Ticks)));

    /// <summary>On a device that computes nothing: everything is prepared, launched, measured and reported.</summary>
    [Theory]
    [MemberData(nameof(Measurements))]
    public void Part_GivenARehearsal_ShouldReportFigures(string name)
    {
        List<GpuRow> rows = [];
        using DeviceChoice device = DeviceChoice.Open("simulation", threads: 0);
        using (GpuWork work = new(device.Device!.Rehearse, quick: true, python: null, rows.Add))
        {
            GpuPart.All.Single(part => part.Name == name).Run(work);
        }

        Assert.Contains(rows, row => row.Figures.Count > 0);
        Assert.All(rows.SelectMany(row => row.Figures), figure => Assert.True(double.IsFinite(figure.Value), figure.Key));
        Assert.Contains(rows, row => row.Case == "Peers were left out.");
    }

    [Fact]
    public void Work_GivenAPythonThatIsNotThere_ShouldSaySoOnce()
    {
        List<GpuRow> rows = [];
        using GpuWork work = new(() => throw new InvalidOperationException(), quick: true, python: "python-that-is-not-there", rows.Add);

        Assert.Null(work.Ask("copy", peer => peer.Copy(1)));
        Assert.Null(work.Ask("copy", peer => peer.Copy(1)));

        Assert.Equal("There is no program python-that-is-not-there; name one with --python.", Assert.Single(rows).Case);
    }

    [Fact]
    public void Process_GivenAPartThatFails_ShouldSayWhyAndGoOn()
    {
        Assert.SkipWhen(NativeLibrary.TryLoad("libcuda.so.1", out _), "There is a driver.");
        List<GpuRow> rows = [];

        string? failure = GpuProcess.Run(GpuPart.All.Single(part => part.Name == "few-rows"), ["--no-peers"], rows.Add);

        Assert.Matches(NoGpu, failure);
        Assert.Empty(rows);
    }

    [Fact]
    public void Results_GivenRows_ShouldBeInBothFilesAtOnce()
    {
        using TemporaryFolder folder = new();
        GpuResults results = new(folder.Path, "cuda, A GPU", "600.1");
        results.Begin(GpuPart.All[3]);
        results.Add(GpuRow.Of("first | one", ("ms", 1.5), ("absent", null)));
        results.Add(GpuRow.Of("second", ("TFLOP/s", 312.0)));
        results.Add(GpuRow.Note("Not done after 55 seconds."));

        string markdown = File.ReadAllText(Path.Combine(folder.Path, "results.md"));
        Assert.Contains("# PureQLora on cuda, A GPU", markdown, StringComparison.Ordinal);
        Assert.Contains("Driver 600.1", markdown, StringComparison.Ordinal);
        Assert.Contains("| | ms | TFLOP/s |", markdown, StringComparison.Ordinal);
        Assert.Contains("| first / one | 1.500 |  |", markdown, StringComparison.Ordinal);
        Assert.Contains("| second |  | 312 |", markdown, StringComparison.Ordinal);
        Assert.Contains("- Not done after 55 seconds.", markdown, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder.Path, "results.json")));
        JsonElement row = json.RootElement.GetProperty("parts")[0].GetProperty("results")[1];
        Assert.Equal(("second", 312), (row.GetProperty("Case").GetString(), row.GetProperty("Figures").GetProperty("TFLOP/s").GetInt32()));
    }

    [Fact]
    public void Row_GivenALineOfAPart_ShouldComeBackTheSame()
    {
        GpuRow row = GpuRow.Of("4 × 4", ("ms", 1.25), ("% of copy", 70));

        GpuRow back = JsonSerializer.Deserialize<GpuRow>(GpuProcess.Line(row))!;

        Assert.Equal(row.Case, back.Case);
        Assert.Equal(row.Figures, back.Figures);
    }

    /// <remarks>Half a minute: it copies and packs a runtime.</remarks>
    [Fact(Explicit = true)]
    public void Bundle_WhenMade_ShouldRunWithoutDotnetUpToTheMissingDriver()
    {
        using TemporaryFolder folder = new();
        string bundle = Path.Combine(folder.Path, "bundle");
        ToolResult made = Tool.Bench("gpu", "--bundle", bundle);
        Assert.Equal((0, ""), (made.ExitCode, made.Error));
        Assert.InRange(new FileInfo(bundle + ".tar.gz").Length, 1, GpuBundle.Limit);

        System.Diagnostics.ProcessStartInfo start = new("/bin/sh", [Path.Combine(bundle, "run")]) { RedirectStandardError = true, WorkingDirectory = folder.Path };
        start.Environment.Clear();
        start.Environment["PATH"] = "/bin:/usr/bin";
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(start)!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();

        Assert.Contains("no NVIDIA driver was found", error, StringComparison.Ordinal);
        Assert.Equal(ToolProgram.UserMistake, process.ExitCode);
    }
}
