using System.Numerics.Tensors;
using PureQLora.Core;

// The engine's, not the BCL's.
using Tensor = PureQLora.Core.Tensor;

namespace PureQLora.Models;

/// <summary>
/// Starts adapters so that base and adapter together are as near to the model in full precision as their rank allows, layer by layer:
/// each layer's inputs are those that the quantised layers before it, with their adapters, really give.
/// </summary>
public sealed class AdapterInitialization : IDisposable
{
    private readonly LlamaModel _model;
    private readonly Dictionary<string, WeightMatrix> _full;
    private readonly AdapterStartOptions _options;
    private readonly CpuBackend _backend;
    private readonly Arena _arena;
    private readonly QuantizationMemory _memory;
    private readonly RandomState _random;

    private AdapterInitialization(LlamaModel model, LlamaModel full, CpuBackend backend, AdapterStartOptions options)
    {
        (_model, _options, _random) = (model, options, new RandomState(options.Seed));
        _full = full.Linears.ToDictionary(layer => layer.Name, layer => layer.Weight, StringComparer.Ordinal);
        _backend = backend;
        _arena = new Arena(backend);
        _memory = new QuantizationMemory(_backend);
    }

    /// <summary>Injects adapters and starts them.</summary>
    /// <param name="model">Quantised, without adapters. LoftQ of more than one iteration replaces its codes.</param>
    /// <param name="full">The model that it was quantised from.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="config">Ranks, scales, targets.</param>
    /// <param name="options">What to start from.</param>
    /// <param name="calibration">Token ids, one array a sample; may be empty where none is needed.</param>
    /// <param name="progress">Told after each layer.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <returns>One entry a layer that is quantised and adapted, in order; none for a start from zero.</returns>
    /// <exception cref="UserErrorException">Nothing is quantised, the models do not belong together, or calibration text is missing.</exception>
    public static IReadOnlyList<AdapterStartResult> Inject(
        LlamaModel model,
        LlamaModel full,
        CpuBackend backend,
        LoraConfig config,
        AdapterStartOptions options,
        IReadOnlyList<int[]> calibration,
        IProgress<AdapterStartResult>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(full);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(calibration);
        options.Validate();
        if (options.Start == AdapterStart.Zero)
        {
            LoraInjection.Inject(model, config, options.Seed);
            return [];
        }

        ArgumentNullException.ThrowIfNull(config);
        if (config.UseQaLora)
        {
            throw new UserErrorException("Adapters of QA-LoRA add one value to a whole group and cannot make up for what quantising lost; start them from zero, or use plain LoRA.");
        }

        RequireSuitable(model, full);
        if (options.NeedsCalibration && calibration.Sum(sample => (long)sample.Length) == 0)
        {
            throw new UserErrorException("Adapters that start from the layers' errors need calibration text and there is none; name a calibration file, or start with loftq.");
        }

        LoraInjection.Inject(model, config, options.Seed);
        using AdapterInitialization initialization = new(model, full, backend, options);
        return initialization.Run(options.NeedsCalibration ? calibration : [], progress, cancellationToken);
    }

    /// <summary>Releases the memory of the passes.</summary>
    public void Dispose() => _arena.Dispose();

    private static void RequireSuitable(LlamaModel model, LlamaModel full)
    {
        if (!model.Linears.Any(layer => layer.Weight.Quantized is not null))
        {
            throw new UserErrorException("No layer of the model is quantised, so there is no error for adapters to start from; quantise it first, or start them from zero.");
        }

        foreach ((LinearLayer layer, LinearLayer original) in model.Linears.Zip(full.Linears))
        {
            if (layer.Name != original.Name || (layer.Weight.OutDim, layer.Weight.InDim) != (original.Weight.OutDim, original.Weight.InDim) || original.Weight.Dense is null)
            {
                throw new UserErrorException($"{layer.Name} is {layer.Weight}, and {original.Weight} in the model to compare with; name the model in full precision that it was quantised from.");
            }
        }
    }

    private List<AdapterStartResult> Run(IReadOnlyList<int[]> calibration, IProgress<AdapterStartResult>? progress, CancellationToken cancellationToken)
    {
        List<AdapterStartResult> results = [];
        CalibrationPack[] packs = CalibrationPack.Embed(_model, _arena, calibration, besideExact: false);
        GptqOptions passes = new() { CalibrationPrecision = _options.Quantization.CalibrationPrecision };
        foreach (DecoderBlock block in _model.Blocks)
        {
            BlockCalibration pass = new(_model, block, packs, _arena, passes, new QuantizationTimings());
            for (int stage = 0; stage < BlockCalibration.Stages; stage++)
            {
                LinearLayer[] layers = [.. BlockCalibration.LayersOf(block)[stage].Where(layer => layer is { Adapter: not null, Weight.Quantized: not null })];
                CalibrationSums? sums = layers.Length == 0 || packs.Length == 0 ? null : _memory.Sums(layers[0], oneByOne: true, deviation: false, entersResidual: false);
                pass.SumStage(stage, sums, cancellationToken);
                double[]? hessian = sums?.Hessian.Complete();
                foreach (LinearLayer layer in layers)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    results.Add(_options.Start == AdapterStart.Error ? FitError(layer, hessian!) : FitLoftq(layer, hessian));
                    progress?.Report(results[^1]);
                }
            }

            pass.Finish(inStages: true, cancellationToken);
        }

        return results;
    }

    private AdapterStartResult FitError(LinearLayer layer, double[] hessian)
    {
        float[] error = Error(layer, layer.Weight.Quantized!);
        double before = _backend.QuadraticForm(error, layer.Weight.InDim, hessian);
        LowRankError.Fit(error, hessian, layer.Adapter!, _backend, _random);
        LowRankError.Subtract(error, layer.Adapter!);
        return new AdapterStartResult(layer.Name, before, _backend.QuadraticForm(error, layer.Weight.InDim, hessian));
    }

    /// <summary>Quantises and approximates in turn, and keeps the best of all turns: the sequence need not fall.</summary>
    private AdapterStartResult FitLoftq(LinearLayer layer, double[]? hessian)
    {
        LoraAdapter adapter = layer.Adapter!;
        QuantizedMatrix best = layer.Weight.Quantized!;
        float[] error = Error(layer, best);
        double before = TensorPrimitives.SumOfSquares<float>(error);
        LowRankError.Fit(error, null, adapter, _backend, _random);
        LowRankError.Subtract(error, adapter);
        double after = TensorPrimitives.SumOfSquares<float>(error);
        (float[] bestA, float[] bestB) = (adapter.A.ToArray(), adapter.B.ToArray());
        for (int turn = 1; turn < _options.LoftqIterations; turn++)
        {
            QuantizedMatrix codes = Requantize(layer, hessian);
            error = Error(layer, codes);
            LowRankError.Fit(error, null, adapter, _backend, _random);
            LowRankError.Subtract(error, adapter);
            double loss = TensorPrimitives.SumOfSquares<float>(error);
            if (loss < after)
            {
                if (best != layer.Weight.Quantized)
                {
                    best.Dispose();
                }

                (best, after, bestA, bestB) = (codes, loss, adapter.A.ToArray(), adapter.B.ToArray());
            }
            else
            {
                codes.Dispose();
            }
        }

        adapter.A.CopyFrom(bestA);
        adapter.B.CopyFrom(bestB);
        if (best != layer.Weight.Quantized)
        {
            layer.ReplaceWeight(new WeightMatrix(best));
        }

        return new AdapterStartResult(layer.Name, before, after);
    }

    /// <summary>Codes of W − s·B·A.</summary>
    private QuantizedMatrix Requantize(LinearLayer layer, double[]? hessian)
    {
        float[] weights = _full[layer.Name].Dense!.ToArray();
        LowRankError.Subtract(weights, layer.Adapter!);
        QuantizationResult result = hessian is null
            ? RoundToNearestQuantizer.Quantize(weights, layer.Weight.OutDim, _options.Quantization, layer.Name, _backend)
            : GptqQuantizer.Quantize(weights, layer.Weight.OutDim, hessian, _options.Quantization, layer.Name, _backend);
        return result.ToMatrix();
    }

    /// <summary>W − Q. [outDim, inDim]</summary>
    private float[] Error(LinearLayer layer, QuantizedMatrix quantized)
    {
        Tensor dense = _full[layer.Name].Dense!;
        float[] error = dense.ToArray();
        MappedFile.ReleasePages(dense);
        TensorPrimitives.Subtract(error, quantized.Dequantize(), error);
        return error;
    }
}
