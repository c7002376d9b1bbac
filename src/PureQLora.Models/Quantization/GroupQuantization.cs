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
    private const int RearrangedRows = 64;

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

    /// <summary>Lets each column make up for the errors of those before it, with the refinements that the options name.</summary>
    /// <param name="sums">Of the layers' input; ended here.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <returns>One entry a layer, each given as soon as its layer is done.</returns>
    public IEnumerable<LayerQuantization> Gptq(CalibrationSums sums, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        double[] hessian = sums.Hessian.Complete();
        timings.Add(QuantizationStage.Hessian, started);

        started = Stopwatch.GetTimestamp();
        HessianFactor factor = HessianFactor.Create(
            hessian, sums.Hessian.Columns, options, layers[0].Name, backend, memory.Factor(sums.Hessian.Columns));
        timings.Add(QuantizationStage.Factorisation, started);
        foreach (LinearLayer layer in layers)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long layerStarted = Stopwatch.GetTimestamp();
            QuantizationResult result = Quantize(layer, hessian, sums.Deviation, factor);
            yield return Replace(layer, result, layerStarted);
        }
    }

    private QuantizationResult Quantize(LinearLayer layer, double[] hessian, DeviationAccumulator? deviation, HessianFactor factor)
    {
        long started = Stopwatch.GetTimestamp();
        Span<float> weights = memory.Weights(layer);
        if (deviation is not null && factor.IsPositiveDefinite)
        {
            double strength = options.TargetStrength ?? CalibrationTarget.Strength(deviation.RowCount, deviation.Columns);
            CalibrationTarget.Apply(weights, layer.Weight.OutDim, deviation, factor, strength, backend);
            timings.Add(QuantizationStage.Target, started);
            started = Stopwatch.GetTimestamp();
        }

        QuantizationResult nearest = GptqQuantizer.RoundToNearest(weights, layer.Weight.OutDim, hessian, options, layer.Name, backend);
        timings.Add(QuantizationStage.Nearest, started);

        started = Stopwatch.GetTimestamp();
        QuantizationResult result = GptqQuantizer.Quantize(weights, nearest, factor, backend);
        timings.Add(QuantizationStage.Columns, started);
        if (options.Has(Refinements.Descent))
        {
            started = Stopwatch.GetTimestamp();
            result = CodeDescent.Run(weights, result, InPlaces(hessian, result), factor, backend);
            timings.Add(QuantizationStage.Descent, started);
        }

        return result;
    }

    /// <summary>The Hessian with the columns of a group side by side, which they are but for act-order without static groups.</summary>
    private double[] InPlaces(double[] hessian, QuantizationResult result)
    {
        if (CodeDescent.PlacesOf(result) is not { } columnAt)
        {
            return hessian;
        }

        int n = result.Columns;
        double[] turned = memory.Rearranged(n);
        backend.For(n, RearrangedRows, (start, end) =>
        {
            for (int place = (int)start; place < end; place++)
            {
                ReadOnlySpan<double> source = hessian.AsSpan(columnAt[place] * n, n);
                Span<double> target = turned.AsSpan(place * n, n);
                for (int other = 0; other < n; other++)
                {
                    target[other] = source[columnAt[other]];
                }
            }
        });
        return turned;
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
