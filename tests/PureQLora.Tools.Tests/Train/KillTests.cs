using System.Diagnostics;
using System.Text;

namespace PureQLora.Tools.Tests.Train;

/// <summary>A run killed with SIGKILL at random moments, also while it quantises, saves or measures, ends with the same bytes.</summary>
public sealed class KillTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Train_GivenThreeKills_ShouldEndWithTheSameAdapter() => KillAndCompare(kills: 3, seed: 1);

    [Fact(Explicit = true)]
    [Trait("Category", "Slow")]
    public void Train_GivenTwentyKills_ShouldEndWithTheSameAdapter() => KillAndCompare(kills: 20, seed: 2);

    private void KillAndCompare(int kills, int seed)
    {
        string model = SmallModel.Write(_folder["model"]);
        Stopwatch watch = Stopwatch.StartNew();
        RunToEnd(Begin(model, "whole", threads: 1));
        TimeSpan whole = watch.Elapsed;

        Random random = new(seed);
        int killed = 0;
        for (int run = 0; killed < kills; run++)
        {
            // A process lives for a part of what the whole run takes, so that the moments spread over all of its stages.
            string name = $"killed-{run}";
            bool finished = false;
            while (!finished && killed < kills)
            {
                using Process process = Launch(Next(model, name, threads: 1 + (killed % 2)));
                finished = process.WaitForExit(whole * (0.1 + (0.8 * random.NextDouble())));
                if (!finished)
                {
                    process.Kill();
                    process.WaitForExit();
                    killed++;
                }
            }

            RunToEnd(Next(model, name, threads: 2));
            Assert.Equal(Adapter("whole"), Adapter(name));
            Assert.Equal(Steps("whole"), Steps(name));
            Assert.Empty(Directory.EnumerateFileSystemEntries(_folder[name], "*.tmp", SearchOption.AllDirectories));
        }
    }

    private byte[] Adapter(string run) => File.ReadAllBytes(Path.Combine(_folder[run], "adapter", "adapter_model.safetensors"));

    private int[] Steps(string run) => [.. PureQLora.Training.MetricsFile.Read(Path.Combine(_folder[run], "metrics.jsonl")).Select(step => step.Step)];

    /// <summary>Goes on where there is a run; one that was killed before it was begun is begun again.</summary>
    private ProcessStartInfo Next(string model, string name, int threads) => File.Exists(Path.Combine(_folder[name], "recipe.json"))
        ? Start("--resume", _folder[name], "--threads", $"{threads}")
        : Begin(model, name, threads);

    private ProcessStartInfo Begin(string model, string name, int threads) => Start(
        "--model", model, "--output", _folder[name], "--threads", $"{threads}",
        "--set", "data.wordProblems.newProblems=30", "--set", "data.wordProblems.oldProblems=10", "--set", "data.maxLength=192", "--set", "lora.dropout=0.1",
        "--set", "training.steps=12", "--set", "training.saveEvery=2", "--set", "training.accumulation=2", "--set", "training.keepCheckpoints=2",
        "--set", "quantization.groupSize=32", "--set", "quantization.calibrationSamples=8",
        "--set", "evaluation.limit=2", "--set", "evaluation.maxNewTokens=4");

    private static ProcessStartInfo Start(params string[] arguments) =>
        new("dotnet", [Path.Combine(AppContext.BaseDirectory, "Train.dll"), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };

    /// <summary>Starts a process whose output is read away.</summary>
    private static Process Launch(ProcessStartInfo start, StringBuilder? error = null)
    {
        Process process = Process.Start(start)!;
        process.ErrorDataReceived += (_, line) => error?.AppendLine(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static void RunToEnd(ProcessStartInfo start)
    {
        StringBuilder error = new();
        using Process process = Launch(start, error);
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}: {error}");
    }
}
