using System.Runtime.InteropServices;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>GPTQ of the first block of a small dense model. Cancelled, the layers done so far are those of the whole run.</summary>
/// <param name="config">The model.</param>
/// <param name="options">How.</param>
internal sealed class StressQuantisation(LlamaConfig config, GptqOptions options) : StressUnit(
    $"GPTQ, {options.Bits} bits, calibration {options.CalibrationPrecision.Name()}{(options.ActOrder ? ", act-order" : "")}")
{
    private const int Samples = 4;

    /// <inheritdoc/>
    public override StressOutcome Run(CpuBackend backend, CancellationToken cancellationToken)
    {
        LlamaConfig oneBlock = config with { Layers = 1, SlidingWindows = new int?[1] };
        using LlamaModel model = new(oneBlock, new RandomWeights(oneBlock, seed: 8));
        int[][] calibration = [.. Enumerable.Range(0, Samples).Select(i => RandomIds.Create(29 + i, config.VocabularySize, (ulong)i))];
        string losses = "";
        bool complete = true;
        try
        {
            IReadOnlyList<LayerQuantization> report = ModelQuantizer.Quantize(
                model, backend, QuantizationMethod.Gptq, options, calibration, cancellationToken: cancellationToken);
            losses = string.Concat(report.Select(layer => Bits(layer.Loss)));
        }
        catch (OperationCanceledException)
        {
            complete = false;
        }

        IEnumerable<string> layers = model.Linears.Select(layer => layer.Weight.Quantized is { } done ? Fingerprint(MemoryMarshal.AsBytes<float>(done.Dequantize())) : "");
        return new StressOutcome([.. layers, losses], !complete, complete);
    }
}
