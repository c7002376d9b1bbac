using System.Globalization;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Distributes bits over the layers of a model: measures how far the model's predictions move when the layers of one input alone have 3 bits, how
/// GPTQ's loss with each of nine settings compares with that, and spends the budget where it lowers the sum most. Layers that share an input
/// (q, k, v; gate, up) get the same settings, because programs fuse them.
/// </summary>
/// <remarks>
/// To second order both the divergence of the predictions and the squared error of a layer's output are quadratic in the change of its weights, so
/// one measured divergence and the ratios of losses predict the others.
/// </remarks>
public sealed class MixedPrecision
{
    private static readonly LayerSettings[] Candidates =
        [new(2, 32), new(2, 64), new(3, 32), new(3, 64), new(3, 128), new(4, 32), new(4, 64), new(4, 128), new(8, 128)];

    /// <summary>The setting whose effect on the predictions is measured: 3 bits, coarse enough to stand out from rounding.</summary>
    private const int Yardstick = 3;

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

        List<AllocationUnit> units = new MixedPrecision(model, backend, options, chosen).Measure(calibration, progress, cancellationToken);
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

    private List<AllocationUnit> Measure(IReadOnlyList<int[]> calibration, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        using Arena arena = new(_backend);
        QuantizationTimings timings = new();
        CalibrationPack[] packs = CalibrationPack.Embed(_model, arena, calibration, besideExact: false);
        LogitProbe probe = new(_model, arena, calibration, _options.CalibrationPrecision);
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
                    units.Add(Measure(stages[stage], input, probe, progress, cancellationToken));
                    GC.Collect(); // as in ModelQuantizer
                }
            }

            pass.Finish(inStages: false, cancellationToken);
            probe.Advance();
        }

        return units;
    }

    private AllocationUnit Measure(LinearLayer[] layers, CalibrationSums input, LogitProbe probe, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        double[] hessian = input.Hessian.Complete();
        int columns = input.Hessian.Columns;
        HessianFactor factor = HessianFactor.Create(hessian, columns, _options, layers[0].Name, _backend, _memory.Factor(columns));
        double[] losses = new double[Candidates.Length];
        WeightMatrix[] before = [.. layers.Select(layer => layer.Weight)];
        foreach (LinearLayer layer in layers)
        {
            ReadOnlySpan<float> weights = _memory.Weights(layer);
            for (int i = 0; i < Candidates.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                GptqOptions options = _options with { Bits = Candidates[i].Bits, GroupSize = Candidates[i].GroupSize };
                QuantizationResult nearest = RoundToNearestQuantizer.Quantize(weights, layer.Weight.OutDim, options, layer.Name, _backend);
                QuantizationResult result = GptqQuantizer.Quantize(weights, nearest, factor, _backend);
                losses[i] += factor.IsPositiveDefinite ? result.ProxyLoss : ProxyLoss.Compute(weights, result, hessian, _backend);
                if (i == Yardstick)
                {
                    layer.ReplaceWeight(new WeightMatrix(result.ToMatrix()));
                }
            }

            progress?.Report(layer.Name);
        }

        double divergence = probe.Divergence();
        foreach ((LinearLayer layer, WeightMatrix weight) in layers.Zip(before))
        {
            layer.Weight.Quantized?.Dispose();
            layer.ReplaceWeight(weight);
        }

        double scale = losses[Yardstick] > 0 ? divergence / losses[Yardstick] : 0;
        return new AllocationUnit(
            [.. layers.Select(layer => layer.Name)],
            [.. Candidates.Select((settings, i) => new AllocationChoice(settings, StoredBits(layers, settings), scale * losses[i]))]);
    }
}
