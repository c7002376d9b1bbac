using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Quantize;

/// <summary><c>--method nf4</c>: the levels of a code book instead of a grid, no calibration, a bitsandbytes folder.</summary>
internal static class BlockwiseCommand
{
    /// <summary>The method's name.</summary>
    public const string Method = "nf4";

    private const string ReportFile = "quantization_report.json";

    private static readonly BlockwiseOptions Defaults = new();
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true };

    /// <summary>Weights that share a scale.</summary>
    public static Option<int> Block { get; } = new("--block") { Description = "nf4: weights that share a scale, a power of two from 32 to 4096.", DefaultValueFactory = _ => Defaults.BlockSize };

    /// <summary>Scales become codes.</summary>
    public static Option<bool> DoubleQuantization { get; } = new("--double-quant") { Description = "nf4: quantise the scales as well, to 8 bits in blocks of 256." };

    /// <summary>Refuses options that the method does not look at, by name.</summary>
    /// <param name="result">The command line.</param>
    /// <param name="method">That was asked for.</param>
    /// <param name="others">Options of the other methods.</param>
    /// <exception cref="UserErrorException">One was given that does not go with the method.</exception>
    public static void RequireFit(ParseResult result, string method, params ReadOnlySpan<Option> others)
    {
        ReadOnlySpan<Option> foreign = method == Method ? others : [Block, DoubleQuantization];
        foreach (Option option in foreign)
        {
            if (result.GetResult(option) is { Implicit: false })
            {
                throw new UserErrorException(method == Method
                    ? $"{option.Name} does not go with --method nf4, which has 4 bits, a fixed code book and no calibration; leave it out, or take --method gptq."
                    : $"{option.Name} goes with --method nf4 only, the method is {method}; leave it out.");
            }
        }
    }

    /// <summary>Quantises and writes.</summary>
    /// <param name="result">Holds <see cref="Block"/> and <see cref="DoubleQuantization"/>.</param>
    /// <param name="backend">Gives the threads.</param>
    /// <param name="folder">The dense model.</param>
    /// <param name="output">Where to.</param>
    /// <param name="targets">Short names; empty for all.</param>
    public static int Run(ParseResult result, CpuBackend backend, ModelFolder folder, string output, string[] targets)
    {
        BlockwiseOptions options = new() { BlockSize = result.GetValue(Block), DoubleQuantization = result.GetValue(DoubleQuantization) };
        options.Validate();
        using OutputFolder target = OutputFolder.Create(output);
        long started = Stopwatch.GetTimestamp();
        IReadOnlyList<BlockwiseLayer> layers = Quantize(folder.Model, backend, options, targets);
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        BitsAndBytesCheckpoint.Write(target.Temporary, folder.Checkpoint, layers.ToDictionary(layer => layer.Report.Layer, layer => layer.Matrix));
        AtomicFile.WriteText(Path.Combine(target.Temporary, ReportFile), Report(options, layers, seconds) + "\n");
        ToolProgram.Cancellation.ThrowIfCancellationRequested();
        target.Commit();
        ConsoleTable.Show(
            "Quantisation",
            ("layers", layers.Count.ToString(CultureInfo.InvariantCulture)),
            ("relative error of the weights, mean", MeanError(layers).ToString("F4", CultureInfo.InvariantCulture)),
            ("memory of these layers", $"{ConsoleTable.Bytes(layers.Sum(layer => layer.Report.BytesBefore))} -> {ConsoleTable.Bytes(layers.Sum(layer => layer.Report.BytesAfter))}"),
            ("in the file", ConsoleTable.Bytes(layers.Sum(layer => layer.Matrix.StoredBytes))),
            ("time", string.Create(CultureInfo.InvariantCulture, $"{seconds:F1} s")));
        System.Console.WriteLine($"Written to {output}");
        return ToolProgram.Success;
    }

    private static IReadOnlyList<BlockwiseLayer> Quantize(LlamaModel model, CpuBackend backend, BlockwiseOptions options, string[] targets)
    {
        int count = model.Linears.Count(layer => targets.Length == 0 || targets.Contains(layer.ShortName));
        int done = 0;
        return ConsoleProgress.Run("quantising", count, progress => BlockwiseModelQuantizer.Quantize(
            model,
            backend,
            options,
            targets,
            new SynchronousProgress<BlockwiseLayer>(layer =>
            {
                progress.Line(string.Create(CultureInfo.InvariantCulture, $"{layer.Report.Layer}  relative error {layer.RelativeError:F4}"));
                progress.Update(++done);
            }),
            ToolProgram.Cancellation));
    }

    private static double MeanError(IReadOnlyList<BlockwiseLayer> layers) => layers.Average(layer => layer.RelativeError);

    private static string Report(BlockwiseOptions options, IReadOnlyList<BlockwiseLayer> layers, double seconds) => JsonSerializer.Serialize(
        new
        {
            method = options.Book.Name,
            block = options.BlockSize,
            double_quantization = options.DoubleQuantization,
            seconds,
            relative_error_mean = MeanError(layers),
            layers = layers.Select(layer => new
            {
                layer = layer.Report.Layer,
                relative_error = layer.RelativeError,
                bytes_before = layer.Report.BytesBefore,
                bytes_after = layer.Report.BytesAfter,
                bytes_stored = layer.Matrix.StoredBytes,
                seconds = layer.Report.Duration.TotalSeconds,
            }).ToArray(),
        },
        Json);
}
