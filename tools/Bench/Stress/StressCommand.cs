using System.CommandLine;
using System.Diagnostics;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench stress</c>: training, generation and GPTQ side by side while the process is disturbed; nothing may change a bit.</summary>
internal static class StressCommand
{
    private const double LongestMinutes = 60 * 24 * 7;

    public static Command Create()
    {
        Option<double> minutes = new("--minutes") { Description = "Time after which nothing new is begun.", DefaultValueFactory = _ => 1 };
        Option<int> seed = new("--seed") { Description = "Chooses what happens; not when.", DefaultValueFactory = _ => 1 };
        Option<string> shape = new("--shape") { Description = "Dimensions of the models, whose weights are random.", DefaultValueFactory = _ => "tiny" };
        Command command = new(
            "stress", "Runs training, generation and GPTQ side by side on every tier, under changes of affinity, forced collections and cancellations; every result must be bit for bit that of a quiet run.")
        {
            minutes, seed, shape,
        };
        command.SetAction(result => Run(result.GetValue(minutes), result.GetValue(seed), ModelShape.Find(result.GetValue(shape)!)));
        return command;
    }

    private static int Run(double minutes, int seed, LlamaConfig config)
    {
        if (!(minutes > 0 && minutes <= LongestMinutes))
        {
            throw new UserErrorException(FormattableString.Invariant($"--minutes is {minutes}, allowed above 0 to {LongestMinutes}."));
        }

        CpuTier[] tiers = [.. Enum.GetValues<CpuTier>().Where(tier => CpuBackend.Obstacle(tier) is null)];
        Report.Line($"{ProcessorName.Read()}, {Environment.ProcessorCount} processors; tiers {string.Join(", ", tiers.Select(CpuTierNames.Name))}; seed {seed}");
        using ProcessorAffinity? affinity = ProcessorAffinity.TryOpen(out string obstacle);
        if (affinity is null)
        {
            Report.Line($"{obstacle}");
        }

        long started = Stopwatch.GetTimestamp();
        StressUnit[] units = Units(config);
        StressReference[] references = [.. tiers.SelectMany(tier => units.Select(unit => Reference(unit, tier)))];
        Report.Line($"{references.Length} references, each on one thread, in {Stopwatch.GetElapsedTime(started).TotalSeconds:F1} s");
        StressTally tally = new();
        new StressRun(references, seed, tally).Run(TimeSpan.FromMinutes(minutes), affinity, ToolProgram.Cancellation);
        tally.Show();
        return tally.Failures.Count == 0 ? ToolProgram.Success : ToolProgram.Failure;
    }

    private static StressReference Reference(StressUnit unit, CpuTier tier)
    {
        ToolProgram.Cancellation.ThrowIfCancellationRequested();
        return new StressReference(unit, tier);
    }

    private static StressUnit[] Units(LlamaConfig config)
    {
        TrainingOptions training = new() { Steps = 5, BatchSize = 2, Precision = Precision.Float32 };
        GptqOptions gptq = new() { GroupSize = 32 };
        return
        [
            new StressTraining(config, groupSize: 32, training),
            new StressTraining(config, groupSize: 128, training with { Checkpointing = false, Accumulation = 2, BatchSize = 1 }),
            new StressTraining(config, groupSize: 64, training with { Precision = Precision.BFloat16, Activations = DataType.BFloat16 }),
            new StressTraining(config, groupSize: 32, training with { Precision = Precision.BFloat16, Checkpointing = false }),
            .. Enum.GetValues<Precision>().Select(precision => new StressGeneration(config, groupSize: 32, precision)),
            .. Enum.GetValues<Precision>().Select(precision => new StressStreaming(config, groupSize: 64, precision, abandon: precision == Precision.BFloat16)),
            new StressQuantisation(config, gptq),
            new StressQuantisation(config, gptq with { Bits = 3, ActOrder = true, CalibrationPrecision = Precision.BFloat16 }),
        ];
    }
}
