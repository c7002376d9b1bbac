using System.CommandLine;
using System.Diagnostics;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench quantise</c>: GPTQ of a model of a given shape, from a mapped float16 checkpoint to a GPTQ folder.</summary>
internal static class QuantiseCommand
{
    private const int PassTokens = 512;

    private static readonly Option<string> ShapeName = BenchOptions.Shape();
    private static readonly Option<int> Blocks = new("--blocks") { Description = "Blocks to run for real; 0 runs all. The rest is planned from these.", DefaultValueFactory = _ => 1 };
    private static readonly Option<int> Samples = new("--samples") { Description = "Calibration samples.", DefaultValueFactory = _ => 128 };
    private static readonly Option<int> Length = new("--length") { Description = "Tokens of a sample.", DefaultValueFactory = _ => 512 };
    private static readonly Option<int> Bits = new("--bits") { Description = "Bits of a weight: 2, 3, 4 or 8.", DefaultValueFactory = _ => 4 };
    private static readonly Option<int> GroupSize = BenchOptions.GroupSize();
    private static readonly Option<Precision?> CalibrationPrecision = CommonOptions.PrecisionOption();
    private static readonly Option<int> Threads = CommonOptions.Threads();

    public static Command Create()
    {
        Command command = new("quantise", "Measures GPTQ by stage, as a share of the multiply-add peak, with its peak memory.")
        {
            ShapeName, Blocks, Samples, Length, Bits, GroupSize, CalibrationPrecision, Threads,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult result)
    {
        string name = result.GetValue(ShapeName)!;
        LlamaConfig config = ModelShape.Find(name);
        QuantiseShape shape = new(config);
        int blocks = result.GetValue(Blocks) is 0 ? shape.Layers : BenchOptions.Require("--blocks", result.GetValue(Blocks), 1, shape.Layers);
        int samples = BenchOptions.Require("--samples", result.GetValue(Samples), 1, 1 << 16);
        int length = BenchOptions.Require("--length", result.GetValue(Length), 1, config.MaxPositions);
        using CpuBackend backend = CommonOptions.CreateProcessor(result.GetValue(Threads));
        GptqOptions options = new()
        {
            Bits = result.GetValue(Bits),
            GroupSize = result.GetValue(GroupSize),
            CalibrationPrecision = result.GetValue(CalibrationPrecision) ?? backend.PreferredPrecision,
        };
        options.Validate();

        MachineLimits limits = MachineLimits.Measure(backend.Threads, quick: true);
        limits.Print();
        double peak = limits.Fma;
        Report.Line($"{name}: {blocks} of {shape.Layers} blocks, {samples} samples of {length} tokens, {options.Bits} bits in groups of {options.GroupSize}; {backend.Tier}, calibration in {options.CalibrationPrecision}");
        using QuantiseCheckpoint checkpoint = QuantiseCheckpoint.Write(shape.Config(blocks), seed: 1);
        QuantizationTimings timings = new();
        long started = Stopwatch.GetTimestamp();
        TimeSpan lastOutput = Quantise(checkpoint.Folder, backend, options, Calibration(config.VocabularySize, samples, length), timings);
        new QuantiseReport(shape, blocks, (double)samples * length, length, peak).Show(timings, lastOutput);
        Report.Line($"from opening the folder to the written one: {Stopwatch.GetElapsedTime(started).TotalSeconds:F1} s; peak resident memory {ConsoleTable.Bytes(PeakMemory.Read())}");
        return ToolProgram.Success;
    }

    private static TimeSpan Quantise(string path, CpuBackend backend, GptqOptions options, int[][] calibration, QuantizationTimings timings)
    {
        using ModelFolder folder = ModelFolder.Open(path);
        ModelQuantizer.Quantize(
            folder.Model, backend, QuantizationMethod.Gptq, options, calibration, timings: timings, cancellationToken: ToolProgram.Cancellation);
        TimeSpan lastOutput = MeasureOutput(folder.Model, backend, options, calibration);
        GptqCheckpoint.Write(
            Path.Combine(path, "quantised"),
            folder.Checkpoint,
            new GptqConfig { Bits = options.Bits, GroupSize = options.GroupSize },
            folder.Model.Linears.ToDictionary(layer => layer.Name, layer => layer.Weight.Quantized!));
        return lastOutput;
    }

    /// <summary>The output of the last block, which no block after it needs: run so that each measured block has all its stages.</summary>
    private static TimeSpan MeasureOutput(LlamaModel model, CpuBackend backend, GptqOptions options, int[][] calibration)
    {
        int rows = Math.Max(1, PassTokens / calibration[0].Length);
        using Arena arena = new(backend);
        TimeSpan time = TimeSpan.Zero;
        foreach (int[][] chunk in calibration.Chunk(rows))
        {
            using ComputeScope scope = new(arena) { Precision = options.CalibrationPrecision };
            ModelInput input = ModelInput.Rows(scope, chunk.SelectMany(ids => ids).ToArray(), chunk[0].Length);
            Tensor x = model.Embed(scope, input);
            long started = Stopwatch.GetTimestamp();
            model.Blocks[^1].Forward(scope, x, model.Context(input));
            time += Stopwatch.GetElapsedTime(started);
        }

        return time;
    }

    private static int[][] Calibration(int vocabulary, int samples, int length)
    {
        var random = new Random(2);
        return [.. Enumerable.Range(0, samples).Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(vocabulary)).ToArray())];
    }
}
