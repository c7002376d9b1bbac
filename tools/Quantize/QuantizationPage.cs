using System.Globalization;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Quantize;

/// <summary>A quantisation's report as a page: ways to quantise side by side, then every layer.</summary>
/// <param name="report">The figures.</param>
internal sealed class QuantizationPage(QuantizationReport report)
{
    /// <summary>Error against size: what could have been asked for, and faintly all layers with one setting.</summary>
    public static ReportCurve Chart(MixedPrecisionPlan plan) => new(
        "Predicted divergence from the unquantised model against size (log10 of nats a token; faint: one setting for all layers)",
        [.. plan.Frontier.Where(point => point.Error > 0).Select(point => (point.AverageBits, Math.Log10(point.Error)))])
    {
        Axis = "bits a weight, scales and zero points included",
        Reference = [.. plan.Uniform.Where(point => point.Error > 0).OrderBy(point => point.AverageBits).Select(point => (point.AverageBits, Math.Log10(point.Error)))],
    };

    public RunReport ToReport() => new()
    {
        Title = $"Quantisation of {report.Model}",
        Facts = [.. Facts().Select(fact => KeyValuePair.Create(fact.Name, fact.Value))],
        Tables = [.. new[] { Variants(), Layers() }.Where(table => table.Rows.Count > 0)],
        Curves = report.Plan is null ? [] : [Chart(report.Plan)],
    };

    private static string Text(double value, string format) => double.IsFinite(value) ? value.ToString(format, CultureInfo.InvariantCulture) : "–";

    private IEnumerable<(string Name, string Value)> Facts()
    {
        GptqOptions options = report.Options;
        yield return ("method", report.Method == QuantizationMethod.Gptq ? "GPTQ" : "round to nearest");
        yield return ("weights", report.Plan is { } plan
            ? $"{Text(plan.AverageBits, "F3")} bits on average, scales and zero points included"
            : $"{options.Bits} bits, {(options.GroupSize == -1 ? "one group a row" : $"groups of {options.GroupSize}")}{(options.Symmetric ? ", symmetric" : "")}");
        yield return ("refinements", options.Refinements == Refinements.None ? "none" : options.Refinements.ToString().ToLowerInvariant());
        if (report.CalibrationFile is not null)
        {
            yield return ("calibration", $"{report.CalibrationFile}: {report.CalibrationSamples} samples, {report.CalibrationTokens} tokens");
        }

        yield return ("all weights", $"{ConsoleTable.Bytes(report.BytesBefore)} → {ConsoleTable.Bytes(report.BytesAfter)}");
        yield return ("time", $"{Text(report.Seconds, "F1")} s");
    }

    private ReportTable Variants() => new(
        "Side by side",
        ["", "perplexity", "all weights", "sum of losses", "seconds"],
        [.. report.Variants.Select(variant => (IReadOnlyList<string>)
        [
            variant.Name,
            Text(variant.Perplexity ?? double.NaN, "F4"),
            ConsoleTable.Bytes(variant.Bytes),
            variant.Layers.Count == 0 ? "–" : Text(variant.Layers.Sum(layer => layer.Loss), "G5"),
            variant.Layers.Count == 0 ? "–" : Text(variant.Seconds, "F1"),
        ])]);

    /// <summary>Losses of a layer in each variant; each is measured on what its own run gave the layer.</summary>
    private ReportTable Layers()
    {
        QuantizationVariant[] others = [.. report.Variants.SkipLast(1).Where(variant => variant.Layers.Any(layer => double.IsFinite(layer.Loss)))];
        return new ReportTable(
            "Layers",
            ["layer", "setting", .. others.Select(variant => $"loss, {variant.Name}"), "loss", "of rounding", "KiB", "seconds"],
            [.. report.Layers.Select((layer, i) => (IReadOnlyList<string>)
            [
                layer.Layer,
                report.SettingsOf(layer.Layer).ToString(),
                .. others.Select(variant => Text(variant.Layers[i].Loss, "G4")),
                Text(layer.Loss, "G4"),
                Text(QuantizationReport.Ratio(layer), "F3"),
                Text(layer.BytesAfter / 1024.0, "F0"),
                Text(layer.Duration.TotalSeconds, "F2"),
            ])]);
    }
}
