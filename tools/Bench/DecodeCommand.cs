using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench decode</c>: new tokens a second, of one sequence and of several together, at the device's precision and in int8.</summary>
internal static class DecodeCommand
{
    public static Command Create()
    {
        Option<string> shape = BenchOptions.Shape();
        Option<int> groupSize = BenchOptions.GroupSize();
        Option<string> batch = new("--batch") { Description = "Sequences continued together, several numbers with commas between.", DefaultValueFactory = _ => "1,16" };
        Option<int> tokens = new("--tokens") { Description = "New tokens of each sequence.", DefaultValueFactory = _ => 64 };
        Option<int> turns = new("--turns") { Description = "Measurements, after one that does not count.", DefaultValueFactory = _ => 5 };
        Option<Precision?> precision = CommonOptions.PrecisionOption();
        Option<int> threads = CommonOptions.Threads();
        Option<string?> llamaCpp = BenchOptions.LlamaCpp();
        Option<bool> noPeers = BenchOptions.NoPeers();
        Option<bool> quick = BenchOptions.Quick();
        Command command = new("decode", "Measures new tokens a second on random 4-bit weights.")
        {
            shape, groupSize, batch, tokens, turns, precision, threads, llamaCpp, noPeers, quick,
        };
        command.SetAction(result =>
        {
            LlamaConfig config = ModelShape.Find(result.GetValue(shape)!);
            int[] batches = BenchOptions.Numbers("--batch", result.GetValue(batch)!, 1, 64);
            int count = BenchOptions.Require("--tokens", result.GetValue(tokens), 2, config.MaxPositions / 2);
            int turnCount = BenchOptions.Require("--turns", result.GetValue(turns), 1, 1000);
            int group = BenchOptions.RequireGroupSize(result.GetValue(groupSize));
            int threadCount = BenchOptions.ThreadCount(result.GetValue(threads));
            MachineLimits limits = MachineLimits.Measure(threadCount, result.GetValue(quick));
            limits.Print();
            using CpuBackend backend = new(threadCount);
            using LlamaModel model = new(config, new RandomQuantizedWeights(config, group, seed: 1));
            Precision[] precisions = result.GetValue(precision) is { } one ? [one] : [backend.PreferredPrecision, Precision.Int8];
            GenerationSession[] sessions = [.. precisions.Select(rounding => new GenerationSession(model, backend, rounding))];
            Report.Line($"{result.GetValue(shape)}: a step reads {ConsoleTable.Bytes(sessions[0].StepBytes)} of weights");
            using LlamaCpp? llama = result.GetValue(noPeers) ? null : LlamaCpp.TryStart(result.GetValue(llamaCpp), config, threadCount);
            Measure(sessions, llama, limits, batches, count, turnCount);
            return ToolProgram.Success;
        });
        return command;
    }

    private static void Measure(GenerationSession[] sessions, LlamaCpp? llama, MachineLimits limits, int[] batches, int tokens, int turns)
    {
        Dictionary<GenerationSession, double> alone = [];        // tokens a second of one sequence among those of the first batch
        foreach (int batch in batches)
        {
            (GenerationSession Session, Contestant Contestant)[] ours =
                [.. sessions.Select(session => (session, new Contestant($"PureQLora {session.Precision.Name()}", () => session.Decode(batch, tokens))))];
            List<Contestant> all = [.. ours.Select(one => one.Contestant)];
            if (llama is not null)
            {
                llama.Prepare(batch, tokens + 16);
                all.Add(new Contestant($"{llama.Version} Q4_0", () => llama.Decode(tokens)));
            }

            Contestant.Compete(turns, all, ToolProgram.Cancellation);
            double steps = tokens - 1;
            foreach ((GenerationSession session, Contestant contestant) in ours)
            {
                double rate = batch * steps / contestant.Best;
                double bytes = session.StepBytes * steps / contestant.Best;
                alone.TryAdd(session, rate / batch);
                Print(batch, steps, contestant, FormattableString.Invariant(
                    $"{Report.Percent(bytes / limits.Read),6} of the read bandwidth, {rate / alone[session]:F1} times the first one a sequence"));
            }

            if (llama is not null)
            {
                Print(batch, steps, all[^1], string.Concat(ours.Select(one => $"{Report.Ratio(all[^1].Best / one.Contestant.Best)} in {one.Session.Precision.Name()}")));
            }
        }
    }

    private static void Print(int batch, double steps, Contestant contestant, string note)
    {
        (double best, double median) = (batch * steps / contestant.Best, batch * steps / contestant.Median);
        Report.Line($"batch {batch,3} {contestant.Name,-28}{best,8:F1} tok/s best{median,8:F1} median{note}");
    }
}
