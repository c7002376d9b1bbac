using System.Diagnostics;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Quantises the layers that share one input, and so one Hessian: q, k and v; o; gate and up; down.</summary>
/// <param name="layers">At least one.</param>
/// <param name="options">Grid and algorithm.</param>
/// <param name="memory">Lends working memory.</param>
/// <param name="backend">Computes.</param>
/// <param name="timings">Counts.</param>
internal sealed class GroupQuantization(LinearLayer[] layers, GptqOptions options, QuantizationMemory memory, CpuBackend backend, QuantizationTimings timings)
{
    /// <summary>Rounds every weight to its nearest code.</summary>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <returns>One entry a layer, each given as soon as its layer is done.</returns>
    public IEnumerable<LayerQuantization> RoundToNearest(CancellationToken cancellationToken)
    {
        foreach (LinearLayer layer in layers)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long started = Stopwatch.GetTimestamp();
            QuantizationResult result = RoundToNearestQuantizer.Quantize(memory.Weights(layer), layer.Weight.OutDim, options, layer.Name, backend);
            timings.Add(QuantizationStage.Nearest, started);
            yield return Replace(layer, result, started);
        }
    }

    /// <summary>Lets each column make up for the errors of those before it.</summary>
    /// <param name="hessian">Of the layers' input; ended here.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <returns>One entry a layer, each given as soon as its layer is done.</returns>
    public IEnumerable<LayerQuantization> Gptq(HessianAccumulator hessian, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        double[] sum = hessian.Complete();
        timings.Add(QuantizationStage.Hessian, started);

        started = Stopwatch.GetTimestamp();
        HessianFactor factor = HessianFactor.Create(sum, hessian.Columns, options, layers[0].Name, backend, memory.Factor(hessian.Columns));
        timings.Add(QuantizationStage.Factorisation, started);
        foreach (LinearLayer layer in layers)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long layerStarted = Stopwatch.GetTimestamp();
            QuantizationResult result = Quantize(layer, sum, factor);
            yield return Replace(layer, result, layerStarted);
        }
    }

    private QuantizationResult Quantize(LinearLayer layer, double[] hessian, HessianFactor factor)
    {
        long started = Stopwatch.GetTimestamp();
        ReadOnlySpan<float> weights = memory.Weights(layer);
        QuantizationResult nearest = GptqQuantizer.RoundToNearest(weights, layer.Weight.OutDim, hessian, options, layer.Name, backend);
        timings.Add(QuantizationStage.Nearest, started);

        started = Stopwatch.GetTimestamp();
        QuantizationResult result = GptqQuantizer.Quantize(weights, nearest, factor, backend);
        timings.Add(QuantizationStage.Columns, started);
        return result;
    }

    private LayerQuantization Replace(LinearLayer layer, QuantizationResult result, long layerStarted)
    {
        long started = Stopwatch.GetTimestamp();
        WeightMatrix before = layer.Weight;
        WeightMatrix after = new(result.ToMatrix());
        layer.ReplaceWeight(after);
        MappedFile.ReleasePages(before.Dense!);
        timings.Add(QuantizationStage.Packing, started);
        return new LayerQuantization(
            layer.Name,
            result.ProxyLoss,
            result.RoundToNearestLoss,
            result.Damping,
            before.ByteLength,
            after.ByteLength,
            Stopwatch.GetElapsedTime(layerStarted),
            result.Warning);
    }
}
