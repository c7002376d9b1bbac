using System.Globalization;
using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;
using Spectre.Console;

namespace PureQLora.Tools.Quantize;

/// <summary>What a quantisation did: error of each layer against rounding to nearest, memory, time.</summary>
/// <param name="Method">How codes were chosen.</param>
/// <param name="Options">Grid and algorithm.</param>
/// <param name="Format">How zero points are stored.</param>
/// <param name="Layers">One entry a layer, in order.</param>
internal sealed record QuantizationReport(QuantizationMethod Method, GptqOptions Options, GptqFormat Format, IReadOnlyList<LayerQuantization> Layers)
{
    public const string FileName = "quantization_report.json";

    public const string PageName = "quantization_report.html";

    public const string ChartName = "mixed_precision.svg";

    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true };

    public string? CalibrationFile { get; init; }

    public int CalibrationSamples { get; init; }

    public long CalibrationTokens { get; init; }

    /// <summary>What distilling the scales did; null where it was not asked for.</summary>
    public DistillationResult? Distillation { get; init; }

    /// <summary>What the start of each adapter makes up for; empty where none was asked for.</summary>
    public IReadOnlyList<AdapterStartResult> Adapters { get; init; } = [];

    /// <summary>All weights of the model.</summary>
    public long BytesBefore { get; init; }

    /// <summary>All weights of the model.</summary>
    public long BytesAfter { get; init; }

    public double Seconds { get; init; }

    public string Model { get; init; } = "";

    /// <summary>The model itself, other ways to quantise it, and last this one.</summary>
    public IReadOnlyList<QuantizationVariant> Variants { get; init; } = [];

    /// <summary>Where bits and group sizes differ from layer to layer.</summary>
    public MixedPrecisionPlan? Plan { get; init; }

    /// <summary>Loss over that of rounding to nearest; 1 where both are 0, NaN without calibration.</summary>
    public static double Ratio(LayerQuantization layer) =>
        layer.RoundToNearestLoss == 0 && layer.Loss == 0 ? 1 : layer.Loss / layer.RoundToNearestLoss;

    /// <summary>Writes the figures, the page, and the chart of mixed precision.</summary>
    public void Save(string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, FileName), JsonSerializer.Serialize(ToObject(), Json) + "\n");
        HtmlReport.Write(Path.Combine(folder, PageName), new QuantizationPage(this).ToReport());
        if (Plan is not null)
        {
            SvgFile.Write(Path.Combine(folder, ChartName), [QuantizationPage.Chart(Plan)]);
        }
    }

    /// <summary>Bits and group size of a layer.</summary>
    public LayerSettings SettingsOf(string layer) => Plan?.Settings[layer] ?? new LayerSettings(Options.Bits, Options.GroupSize);

    public void Show()
    {
        if (Method == QuantizationMethod.Gptq)
        {
            Table table = new Table().Border(TableBorder.Simple).AddColumns("Layer", "Loss", "Round-to-nearest", "Ratio", "Damping");
            foreach (LayerQuantization layer in Layers)
            {
                table.AddRow(Markup.Escape(layer.Layer), Text(layer.Loss, "G4"), Text(layer.RoundToNearestLoss, "G4"), Text(Ratio(layer), "F3"), Text(layer.Damping, "G3"));
            }

            AnsiConsole.Write(table);
        }

        List<(string Name, string Value)> rows =
        [
            ("layers", Text(Layers.Count, "D")),
            ("memory of these layers", $"{ConsoleTable.Bytes(Layers.Sum(layer => layer.BytesBefore))} -> {ConsoleTable.Bytes(Layers.Sum(layer => layer.BytesAfter))}"),
            ("memory of all weights", $"{ConsoleTable.Bytes(BytesBefore)} -> {ConsoleTable.Bytes(BytesAfter)}"),
            ("time", $"{Text(Seconds, "F1")} s"),
        ];
        if (Method == QuantizationMethod.Gptq)
        {
            rows.Insert(1, ("loss / round-to-nearest, of the sums", Text(SumRatio, "F3")));
            rows.Insert(2, ("loss / round-to-nearest, mean", Text(MeanRatio, "F3")));
        }

        foreach (QuantizationVariant variant in Variants.Where(variant => variant.Perplexity is not null))
        {
            rows.Add(($"perplexity, {variant.Name}", Text(variant.Perplexity!.Value, "F4")));
        }

        if (Distillation is { } distillation)
        {
            rows.Add(("held-out divergence", $"{Text(distillation.Before, "F5")} -> {Text(distillation.After, "F5")} at step {distillation.KeptStep} of {distillation.Steps}"));
        }

        if (Adapters.Count > 0)
        {
            rows.Add(("error that adapters leave, of the sums", Text(Adapters.Sum(adapter => adapter.After) / Adapters.Sum(adapter => adapter.Before), "F3")));
        }

        ConsoleTable.Show("Quantisation", [.. rows]);
    }

    private double SumRatio => Layers.Sum(layer => layer.Loss) / Layers.Sum(layer => layer.RoundToNearestLoss);

    private double MeanRatio => Layers.Average(Ratio);

    private static string Text(IFormattable value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    // JSON has no NaN.
    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private object ToObject() => new
    {
        method = Method == QuantizationMethod.Gptq ? "gptq" : "rtn",
        bits = Options.Bits,
        group_size = Options.GroupSize,
        symmetric = Options.Symmetric,
        act_order = Options.ActOrder,
        static_groups = Options.StaticGroups,
        damping = Options.Damping,
        refinements = Options.Refinements == Refinements.None ? [] : Options.Refinements.ToString().ToLowerInvariant().Split(", "),
        target_strength = Options.TargetStrength,
        mixed_precision = Plan is null ? null : new
        {
            average_bits = Plan.AverageBits,
            predicted_divergence = Finite(Plan.Error),
            frontier = Plan.Frontier.Select(point => new { average_bits = point.AverageBits, predicted_divergence = Finite(point.Error) }).ToArray(),
            uniform = Plan.Uniform.Select(point => new { bits = point.Settings.Bits, group_size = point.Settings.GroupSize, average_bits = point.AverageBits, predicted_divergence = Finite(point.Error) }).ToArray(),
        },
        variants = Variants.Select(variant => new
        {
            name = variant.Name,
            perplexity = variant.Perplexity,
            bytes = variant.Bytes,
            seconds = variant.Seconds,
            losses = variant.Layers.Select(layer => Finite(layer.Loss)).ToArray(),
        }).ToArray(),
        format = Format == GptqFormat.V2 ? "gptq_v2" : "gptq",
        calibration = CalibrationFile is null ? null : new { file = CalibrationFile, samples = CalibrationSamples, tokens = CalibrationTokens, precision = Options.CalibrationPrecision.Name() },
        distillation = Distillation is null ? null : new
        {
            divergence_before = Distillation.Before,
            divergence_after = Distillation.After,
            kept_step = Distillation.KeptStep,
            steps = Distillation.Steps,
            samples = Distillation.Samples,
            held_out_samples = Distillation.HeldOutSamples,
            seconds = Distillation.Seconds,
        },
        adapters = Adapters.Select(adapter => new { layer = adapter.Layer, error_before = Finite(adapter.Before), error_after = Finite(adapter.After) }).ToArray(),
        bytes_before = BytesBefore,
        bytes_after = BytesAfter,
        seconds = Seconds,
        loss_over_round_to_nearest = new { of_sums = Finite(SumRatio), mean = Finite(MeanRatio) },
        layers = Layers.Select(layer => new
        {
            layer = layer.Layer,
            bits = SettingsOf(layer.Layer).Bits,
            group_size = SettingsOf(layer.Layer).GroupSize,
            loss = Finite(layer.Loss),
            round_to_nearest_loss = Finite(layer.RoundToNearestLoss),
            ratio = Finite(Ratio(layer)),
            damping = Finite(layer.Damping),
            bytes_before = layer.BytesBefore,
            bytes_after = layer.BytesAfter,
            seconds = layer.Duration.TotalSeconds,
            warning = layer.Warning,
        }).ToArray(),
    };
}
