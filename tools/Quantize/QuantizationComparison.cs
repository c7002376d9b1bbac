using System.Diagnostics;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Quantize;

/// <summary>Quantises the same model in other ways, only to measure them.</summary>
/// <param name="path">Its folder.</param>
/// <param name="backend">Computes.</param>
/// <param name="options">Of the run that is compared.</param>
/// <param name="calibration">Token ids; may be empty.</param>
/// <param name="evaluation">Token ids, BOS first, that calibration has not seen; may be empty.</param>
/// <param name="targets">Short names of layers; empty for all.</param>
internal sealed class QuantizationComparison(
    string path, CpuBackend backend, GptqOptions options, IReadOnlyList<int[]> calibration, IReadOnlyList<int[]> evaluation, string[] targets)
{
    /// <summary>Perplexity of the evaluation text, or null where there is none.</summary>
    public double? Perplexity(LlamaModel model) => evaluation.Count == 0
        ? null
        : PerplexityEvaluator.Measure(model, backend, evaluation, bosId: null, options.CalibrationPrecision, cancellationToken: ToolProgram.Cancellation).Perplexity;

    /// <summary>The model as it is.</summary>
    public QuantizationVariant Base(LlamaModel model) => new("full precision", []) { Perplexity = Perplexity(model), Bytes = model.WeightBytes };

    /// <summary>Rounding to nearest and, where the run refines it, plain GPTQ.</summary>
    public IEnumerable<QuantizationVariant> Others()
    {
        yield return Quantize("round to nearest", QuantizationMethod.RoundToNearest, options);
        GptqOptions plain = options with { Refinements = Refinements.None, ActOrder = false, StaticGroups = false };
        if (calibration.Count > 0 && options != plain)
        {
            yield return Quantize("GPTQ", QuantizationMethod.Gptq, plain);
        }
    }

    private QuantizationVariant Quantize(string name, QuantizationMethod method, GptqOptions how)
    {
        using ModelFolder folder = ModelFolder.Open(path);
        System.Console.WriteLine($"Comparing with {name}");
        long started = Stopwatch.GetTimestamp();
        IReadOnlyList<LayerQuantization> layers = ModelQuantizer.Quantize(
            folder.Model, backend, method, how, calibration, targets, cancellationToken: ToolProgram.Cancellation);
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        QuantizationVariant variant = new(name, layers) { Seconds = seconds, Bytes = folder.Model.WeightBytes, Perplexity = Perplexity(folder.Model) };
        foreach (LinearLayer layer in folder.Model.Linears)
        {
            layer.Weight.Quantized?.Dispose();
        }

        return variant;
    }
}
