using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench training</c>: a LoRA step on a quantised base.</summary>
internal static class TrainingCommand
{
    public static Command Create()
    {
        Option<string> shape = BenchOptions.Shape();
        Option<int> groupSize = BenchOptions.GroupSize();
        Option<int> seq = new("--seq") { Description = "Tokens of the sequence.", DefaultValueFactory = _ => 512 };
        Option<int> rank = new("--rank") { Description = "Rank of the adapters.", DefaultValueFactory = _ => 8 };
        Option<string> targets = new("--targets") { Description = "Layers with adapters.", DefaultValueFactory = _ => "q_proj,k_proj,v_proj,o_proj" };
        Option<int> steps = new("--steps") { Description = "Steps that are measured, after one that is not.", DefaultValueFactory = _ => 3 };
        Option<bool> sweep = new("--sweep") { Description = "A table of step times for sequences of 128 to 4096 tokens and ranks of 4 to 256 instead." };
        Option<string?> table = new("--table") { Description = "File that keeps the points of a sweep; those it holds are not measured again." };
        Option<string?> plot = new("--plot") { Description = "SVG file for the curves of a sweep." };
        Option<Precision?> precision = CommonOptions.PrecisionOption();
        Option<int> threads = CommonOptions.Threads();
        Option<string> python = BenchOptions.Python();
        Option<bool> noPeers = BenchOptions.NoPeers();
        Option<bool> quick = BenchOptions.Quick();
        Command command = new("training", "Measures a LoRA step on a 4-bit base: checkpointing, batch 1, AdamW, random ids.")
        {
            shape, groupSize, seq, rank, targets, steps, sweep, table, plot, precision, threads, python, noPeers, quick,
        };
        command.SetAction(result =>
        {
            int threadCount = BenchOptions.ThreadCount(result.GetValue(threads));
            using CpuBackend backend = new(threadCount);
            LlamaConfig config = ModelShape.Find(result.GetValue(shape)!);
            TrainingBenchOptions options = new(
                BenchOptions.Require("--seq", result.GetValue(seq), 2, config.MaxPositions),
                BenchOptions.Require("--rank", result.GetValue(rank), 1, LoraInjection.MaxRank),
                result.GetValue(targets)!.Split(','),
                result.GetValue(precision) ?? backend.PreferredPrecision);
            int count = BenchOptions.Require("--steps", result.GetValue(steps), 1, 10_000);
            int group = BenchOptions.RequireGroupSize(result.GetValue(groupSize));
            MachineLimits limits = MachineLimits.Measure(threadCount, result.GetValue(quick));
            limits.Print();
            PeakMemory.TryReset();
            using LlamaModel model = new(config, new RandomQuantizedWeights(config, group, seed: 1));
            Report.Line($"{result.GetValue(shape)}: {ModelShape.ProductWeights(config) / 1e9:F3} G weights in products, {ConsoleTable.Bytes(model.WeightBytes)}, {options.Precision}");
            if (result.GetValue(sweep))
            {
                IReadOnlyList<SweepPoint> points = TrainingSweep.Run(model, backend, options, limits, count, result.GetValue(quick), result.GetValue(table));
                if (result.GetValue(plot) is { } path)
                {
                    SweepPoint.Draw(path, points, options);
                }
            }
            else
            {
                string? interpreter = result.GetValue(noPeers) ? null : result.GetValue(python);
                Measure(model, backend, options, limits, count, interpreter);
            }

            return ToolProgram.Success;
        });
        return command;
    }

    private static void Measure(LlamaModel model, CpuBackend backend, TrainingBenchOptions options, MachineLimits limits, int steps, string? python)
    {
        using TrainingSession session = new(model, backend, options);
        Contestant ours = new("PureQLora", session.Step);

        // Alone first: memory is this process's own, and a peer's figures are worth nothing without ours.
        Contestant.Compete(steps, [ours], ToolProgram.Cancellation);
        Report.Line($"memory at most {ConsoleTable.Bytes(PeakMemory.Read())} resident; {session.ManagedBytes} managed bytes in the last step; loss {session.Loss:F3}");
        TrainingArithmetic arithmetic = session.Arithmetic;
        Report.Line($"arithmetic: weights {arithmetic.Weights / 1e12:F3} TFLOP, attention {arithmetic.Attention / 1e12:F3}, adapters {arithmetic.Adapters / 1e12:F3}");
        using PyTorch? torch = python is null ? null : PyTorch.TryStart(python, limits.Threads);
        List<Contestant> all = [ours];
        if (torch is not null)
        {
            torch.PrepareTraining(model.Config, options);
            all.Add(new Contestant($"PyTorch {torch.Version} bfloat16", torch.TrainingStep));
            ours.Seconds.Clear();
            Contestant.Compete(steps, all, ToolProgram.Cancellation);
        }

        foreach (Contestant contestant in all)
        {
            ShowStep(contestant, ours, arithmetic, options, limits);
        }

        if (torch is not null)
        {
            Report.Line($"{torch.Version} had at most {ConsoleTable.Bytes(torch.PeakBytes())} resident");
        }
    }

    private static void ShowStep(Contestant contestant, Contestant ours, TrainingArithmetic arithmetic, TrainingBenchOptions options, MachineLimits limits)
    {
        double rate = arithmetic.Weights / contestant.Best;
        string shares = string.Join(", ", limits.Peaks.Select(peak => $"{Report.Percent(rate / peak.Rate)} of {peak.Name}"));
        string ratio = contestant == ours ? "" : Report.Ratio(contestant.Best / ours.Best);
        Report.Line($"{contestant.Name,-28}{options.Seq / contestant.Best,8:F1} tok/s best{options.Seq / contestant.Median,8:F1} median{rate / 1e9,8:F0} GFLOP/s  {shares}{ratio}");
    }
}
