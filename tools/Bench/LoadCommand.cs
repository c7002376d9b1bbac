using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench load</c>: from a 4-bit checkpoint in the page cache to a model that can compute.</summary>
internal static class LoadCommand
{
    public static Command Create()
    {
        Option<string> shape = BenchOptions.Shape();
        Option<int> groupSize = BenchOptions.GroupSize();
        Option<int> turns = new("--turns") { Description = "Measurements, after one that does not count.", DefaultValueFactory = _ => 5 };
        Option<Precision?> precision = CommonOptions.PrecisionOption();
        Option<int> threads = CommonOptions.Threads();
        Option<bool> quick = BenchOptions.Quick();
        Command command = new("load", "Measures how long a 4-bit GPTQ checkpoint takes to open; writes one to the temporary folder and deletes it again.")
        {
            shape, groupSize, turns, precision, threads, quick,
        };
        command.SetAction(result =>
        {
            LlamaConfig config = ModelShape.Find(result.GetValue(shape)!);
            int turnCount = BenchOptions.Require("--turns", result.GetValue(turns), 1, 1000);
            int group = BenchOptions.RequireGroupSize(result.GetValue(groupSize));
            int threadCount = BenchOptions.ThreadCount(result.GetValue(threads));
            MachineLimits limits = MachineLimits.Measure(threadCount, result.GetValue(quick));
            limits.Print();
            DirectoryInfo folder = Directory.CreateTempSubdirectory("pureqlora-bench-");
            try
            {
                long bytes = RandomGptqFolder.Write(folder.FullName, config, group);
                PeakMemory.TryReset();
                using CpuBackend backend = new(threadCount);
                Measure(folder.FullName, backend, (result.GetValue(precision) ?? backend.PreferredPrecision), turnCount, bytes, limits);
            }
            finally
            {
                // Mapped files go only when no tensor views them any more.
                GC.Collect();
                GC.WaitForPendingFinalizers();
                folder.Delete(recursive: true);
            }

            return ToolProgram.Success;
        });
        return command;
    }

    private static void Measure(string folder, CpuBackend backend, Precision precision, int turns, long bytes, MachineLimits limits)
    {
        Contestant open = Contestant.Timed("opened", () => ModelFolder.Open(folder).Dispose());
        Contestant ready = Contestant.Timed("opened, one token computed", () =>
        {
            using ModelFolder model = ModelFolder.Open(folder);
            using ComputeScope scope = new(backend) { Precision = precision };
            model.Model.Forward(scope, ModelInput.Single(scope, [1]));
        });
        Contestant.Compete(turns, [open, ready], ToolProgram.Cancellation);
        Report.Line($"{ConsoleTable.Bytes(bytes)} of tensors in the page cache; reading them once at the read bandwidth takes {bytes / limits.Read:F3} s");
        foreach (Contestant contestant in (Contestant[])[open, ready])
        {
            Report.Line($"{contestant.Name,-28}{contestant.Best,8:F3} s best{contestant.Median,8:F3} median{bytes / contestant.Best / 1e9,8:F2} GB/s {Report.Percent(bytes / contestant.Best / limits.Read),5} of the read bandwidth");
        }

        Report.Line($"memory at most {ConsoleTable.Bytes(PeakMemory.Read())} resident, the mapped file included");
    }
}
