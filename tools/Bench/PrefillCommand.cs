using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench prefill</c>: how fast prompts are read.</summary>
internal static class PrefillCommand
{
    public static Command Create()
    {
        Option<string> shape = BenchOptions.Shape();
        Option<int> groupSize = BenchOptions.GroupSize();
        Option<string> tokens = new("--tokens") { Description = "Lengths of the prompt, with commas between.", DefaultValueFactory = _ => "512" };
        Option<int> turns = new("--turns") { Description = "Measurements, after one that does not count.", DefaultValueFactory = _ => 5 };
        Option<Precision?> precision = CommonOptions.PrecisionOption();
        Option<int> threads = CommonOptions.Threads();
        Option<string?> llamaCpp = BenchOptions.LlamaCpp();
        Option<bool> noPeers = BenchOptions.NoPeers();
        Option<bool> quick = BenchOptions.Quick();
        Command command = new("prefill", "Measures how fast a prompt is read on random 4-bit weights.")
        {
            shape, groupSize, tokens, turns, precision, threads, llamaCpp, noPeers, quick,
        };
        command.SetAction(result =>
        {
            LlamaConfig config = ModelShape.Find(result.GetValue(shape)!);
            int[] lengths = BenchOptions.Numbers("--tokens", result.GetValue(tokens)!, 1, config.MaxPositions);
            int turnCount = BenchOptions.Require("--turns", result.GetValue(turns), 1, 1000);
            int group = BenchOptions.RequireGroupSize(result.GetValue(groupSize));
            int threadCount = BenchOptions.ThreadCount(result.GetValue(threads));
            MachineLimits limits = MachineLimits.Measure(threadCount, result.GetValue(quick));
            limits.Print();
            using CpuBackend backend = new(threadCount);
            using LlamaModel model = new(config, new RandomQuantizedWeights(config, group, seed: 1));
            GenerationSession session = new(model, backend, result.GetValue(precision) ?? backend.PreferredPrecision);
            using LlamaCpp? llama = result.GetValue(noPeers) ? null : LlamaCpp.TryStart(result.GetValue(llamaCpp), config, threadCount);
            llama?.Prepare(1, lengths.Max() + 16);
            Report.Line($"{result.GetValue(shape)}, {session.Precision}; arithmetic: 2 · tokens · weights of the blocks, the head once");
            foreach (int length in lengths)
            {
                Measure(session, llama, config, limits.PeakOf(result.GetValue(precision) ?? backend.PreferredPrecision), length, turnCount);
            }

            return ToolProgram.Success;
        });
        return command;
    }

    private static void Measure(GenerationSession session, LlamaCpp? llama, LlamaConfig config, (string Name, double Rate) peak, int tokens, int turns)
    {
        Contestant ours = new("PureQLora", () => session.Prefill(tokens));
        List<Contestant> all = [ours];
        if (llama is not null)
        {
            all.Add(new Contestant($"{llama.Version} Q4_0", () => llama.Prefill(tokens)));
        }

        Contestant.Compete(turns, all, ToolProgram.Cancellation);
        double flops = 2.0 * ((tokens * (double)ModelShape.BlockWeights(config)) + ModelShape.HeadWeights(config));
        foreach (Contestant contestant in all)
        {
            double rate = flops / contestant.Best;
            string ratio = contestant == ours ? "" : Report.Ratio(contestant.Best / ours.Best);
            Report.Line($"{tokens,5} tokens {contestant.Name,-28}{tokens / contestant.Best,8:F1} tok/s best{tokens / contestant.Median,8:F1} median{rate / 1e9,8:F0} GFLOP/s {Report.Percent(rate / peak.Rate),5} of {peak.Name}{ratio}");
        }
    }
}
