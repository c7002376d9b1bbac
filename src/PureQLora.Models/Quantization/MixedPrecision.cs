using System.Globalization;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Distributes bits over the layers of a model: measures what GPTQ with each of nine settings costs each layer, weighs it with how strongly
/// the model's loss answers to that layer's output, and spends the budget where it lowers the sum most. Layers that share an input (q, k, v;
/// gate, up) get the same settings, because programs fuse them.
/// </summary>
public sealed class MixedPrecision
{
    private static readonly LayerSettings[] Candidates =
        [new(2, 32), new(2, 64), new(3, 32), new(3, 64), new(3, 128), new(4, 32), new(4, 64), new(4, 128), new(8, 128)];

    private readonly LlamaModel _model;
    private readonly CpuBackend _backend;
    private readonly GptqOptions _options;
    private readonly HashSet<LinearLayer> _targets;
    private readonly QuantizationMemory _memory;

    private MixedPrecision(LlamaModel model, CpuBackend backend, GptqOptions options, HashSet<LinearLayer> targets)
    {
        (_model, _backend, _targets) = (model, backend, targets);
        _memory = new QuantizationMemory(backend);

        // How settings compare hardly depends on the refinements that see other layers; those take the time.
        _options = options with { Refinements = options.Refinements & Refinements.Search };
    }

    /// <summary>Plans; the model is left as it is.</summary>
    /// <param name="model">In full precision.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="options">How the model will be quantised; bits and group size do not matter.</param>
    /// <param name="calibration">Token ids, one array a sample.</param>
    /// <param name="averageBits">Stored bits of a weight at most, scales and zero points included.</param>
    /// <param name="targets">Short names such as <c>q_proj</c>; empty takes all linear layers of the blocks.</param>
    /// <param name="progress">Told the name of each layer as it has been measured.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <exception cref="UserErrorException">The average is out of reach, there is no calibration data, or a layer is quantised already.</exception>
    public static MixedPrecisionPlan Plan(
        LlamaModel model,
        CpuBackend backend,
        GptqOptions options,
        IReadOnlyList<int[]> calibration,
        double averageBits,
        IReadOnlyCollection<string>? targets = null,
        IProgress<string>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(calibration);
        options.Validate();
        HashSet<LinearLayer> chosen = ModelQuantizer.ChooseLayers(model, targets);
        RequireReach(chosen, averageBits);
        if (!calibration.Any(sample => sample.Length > 1))
        {
            throw new UserErrorException("Mixed precision needs calibration samples of two tokens and more, and there are none; name a calibration file.");
        }

        Dictionary<LinearLayer, double[]> sensitivity = OutputSensitivity.Measure(
            model, backend, calibration, chosen, options.CalibrationPrecision, cancellationToken);
        List<AllocationUnit> units = new MixedPrecision(model, backend, options, chosen).Measure(calibration, sensitivity, progress, cancellationToken);
        return Choose(units, chosen, averageBits);
    }

    private static long WeightsOf(IEnumerable<LinearLayer> layers) => layers.Sum(layer => (long)layer.Weight.OutDim * layer.Weight.InDim);

    private static long StoredBits(IEnumerable<LinearLayer> layers, LayerSettings settings) =>
        layers.Sum(layer => settings.StoredBits(layer.Weight.OutDim, layer.Weight.InDim));

    private static void RequireReach(HashSet<LinearLayer> layers, double averageBits)
    {
        double weights = WeightsOf(layers);
        double least = Candidates.Min(settings => StoredBits(layers, settings)) / weights;
        double most = Candidates.Max(settings => StoredBits(layers, settings)) / weights;
        if (!(averageBits >= least && averageBits <= most))
        {
            throw new UserErrorException(string.Create(
                CultureInfo.InvariantCulture,
                $"The average is {averageBits} bits a weight, scales and zero points included; allowed for this model are {Math.Ceiling(least * 100) / 100:F2} to {Math.Floor(most * 100) / 100:F2}."));
        }
    }

    private static MixedPrecisionPlan Choose(List<AllocationUnit> units, HashSet<LinearLayer> layers, double averageBits)
    {
        double weights = WeightsOf(layers);
        AllocationChoice[] choices = BitAllocation.Choose(units, (long)(averageBits * weights))
            ?? throw new UserErrorException(string.Create(CultureInfo.InvariantCulture, $"No settings come to {averageBits} bits a weight; allow a little more."));
        Dictionary<string, LayerSettings> settings = [];
        foreach ((AllocationUnit unit, AllocationChoice choice) in units.Zip(choices))
        {
            foreach (string layer in unit.Layers)
            {
                settings.Add(layer, choice.Settings);
            }
        }

        return new MixedPrecisionPlan(
            settings,
            choices.Sum(choice => choice.StoredBits) / weights,
            choices.Sum(choice => choice.Error),
            [.. BitAllocation.Frontier(units).Select(point => (point.StoredBits / weights, point.Error))],
            [.. Candidates.Select((candidate, i) => (candidate, units.Sum(unit => unit.Choices[i].StoredBits) / weights, units.Sum(unit => unit.Choices[i].Error)))]);
    }

    private List<AllocationUnit> Measure(
        IReadOnlyList<int[]> calibration, Dictionary<LinearLayer, double[]> sensitivity, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        using Arena arena = new(_backend);
        QuantizationTimings timings = new();
        CalibrationPack[] packs = CalibrationPack.Embed(_model, arena, calibration, besideExact: false);
        List<AllocationUnit> units = [];
        foreach (DecoderBlock block in _model.Blocks)
        {
            BlockCalibration pass = new(_model, block, packs, arena, _options, timings);
            LinearLayer[][] stages = [.. BlockCalibration.LayersOf(block).Select(layers => layers.Where(_targets.Contains).ToArray())];
            CalibrationSums?[] sums = [.. stages.Select(layers => layers.Length == 0 ? null : _memory.Sums(layers[0], oneByOne: false, deviation: false, entersResidual: false))];
            pass.SumAll(sums, cancellationToken);
            for (int stage = 0; stage < stages.Length; stage++)
            {
                if (sums[stage] is { } input)
                {
                    units.Add(Measure(stages[stage], input, sensitivity, progress, cancellationToken));
                    GC.Collect(); // as in ModelQuantizer
                }
            }

            pass.Finish(inStages: false, cancellationToken);
        }

        return units;
    }

    private AllocationUnit Measure(
        LinearLayer[] layers, CalibrationSums input, Dictionary<LinearLayer, double[]> sensitivity, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        double[] hessian = input.Hessian.Complete();
        int columns = input.Hessian.Columns;
        HessianFactor factor = HessianFactor.Create(hessian, columns, _options, layers[0].Name, _backend, _memory.Factor(columns));
        double[] errors = new double[Candidates.Length];
        foreach (LinearLayer layer in layers)
        {
            ReadOnlySpan<float> weights = _memory.Weights(layer);
            for (int i = 0; i < Candidates.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                GptqOptions options = _options with { Bits = Candidates[i].Bits, GroupSize = Candidates[i].GroupSize };
                QuantizationResult nearest = RoundToNearestQuantizer.Quantize(weights, layer.Weight.OutDim, options, layer.Name, _backend);
                QuantizationResult result = GptqQuantizer.Quantize(weights, nearest, factor, _backend);
                errors[i] += PredictedRise(weights, result, hessian, sensitivity[layer]);
            }

            progress?.Report(layer.Name);
        }

        return new AllocationUnit(
            [.. layers.Select(layer => layer.Name)],
            [.. Candidates.Select((settings, i) => new AllocationChoice(settings, StoredBits(layers, settings), errors[i]))]);
    }

    /// <summary>Σ_r ½ · f_r · e_r², with the loss of a row twice its mean squared error.</summary>
    private double PredictedRise(ReadOnlySpan<float> weights, QuantizationResult result, double[] hessian, double[] sensitivity) => result.RowLosses.Length > 0
        ? 0.25 * System.Numerics.Tensors.TensorPrimitives.Dot<double>(result.RowLosses, sensitivity)
        : 0.25 * ProxyLoss.Compute(weights, result, hessian, _backend) * sensitivity.Average(); // no factor, so rounded to nearest
}
