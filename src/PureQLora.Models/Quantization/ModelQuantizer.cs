using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Quantises the linear layers of a model's blocks, block by block: each block is calibrated on what the quantised blocks before it
/// put out, so that later layers make up for earlier errors.
/// </summary>
/// <remarks>Frantar et al., arXiv:2210.17323, section 4; the four inputs of a block are shared by q, k, v; o; gate, up; down.</remarks>
public sealed class ModelQuantizer
{
    /// <summary>Enough for full speed; the intermediate tensors of a pass grow with it.</summary>
    private const int PackedTokens = 2048;

    private readonly LlamaModel _model;
    private readonly CpuBackend _algebra;
    private readonly Arena _arena;
    private readonly HashSet<LinearLayer> _targets;
    private readonly QuantizationMethod _method;
    private readonly GptqOptions _options;
    private readonly QuantizationTimings _timings;
    private readonly QuantizationMemory _memory;

    private ModelQuantizer(
        LlamaModel model, CpuBackend algebra, Arena arena, HashSet<LinearLayer> targets, QuantizationMethod method, GptqOptions options, QuantizationTimings timings)
    {
        (_model, _algebra, _arena, _targets) = (model, algebra, arena, targets);
        (_method, _options, _timings) = (method, options, timings);
        _memory = new QuantizationMemory(algebra);
    }

    /// <summary>Quantises the chosen layers in place.</summary>
    /// <param name="model">Dense weights; no layer merged.</param>
    /// <param name="backend">Runs the calibration, and all else too where it is the processor's.</param>
    /// <param name="method">GPTQ or rounding to nearest.</param>
    /// <param name="options">Grid and algorithm.</param>
    /// <param name="calibration">Token ids, one array a sample; may be empty for rounding to nearest.</param>
    /// <param name="targets">Short names such as <c>q_proj</c>; empty takes all linear layers of the blocks.</param>
    /// <param name="progress">Told after each layer.</param>
    /// <param name="timings">Filled with the time by stage; null where nobody asks.</param>
    /// <param name="cancellationToken">Checked between layers; the layers done so far stay quantised.</param>
    /// <returns>One entry a layer, in order.</returns>
    /// <exception cref="UserErrorException">No calibration data, an unknown target, or weights or activations that are not finite.</exception>
    public static IReadOnlyList<LayerQuantization> Quantize(
        LlamaModel model,
        IBackend backend,
        QuantizationMethod method,
        GptqOptions options,
        IReadOnlyList<int[]> calibration,
        IReadOnlyCollection<string>? targets = null,
        IProgress<LayerQuantization>? progress = null,
        QuantizationTimings? timings = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(calibration);
        options.Validate();
        if (method == QuantizationMethod.Gptq && calibration.Sum(sample => (long)sample.Length) == 0)
        {
            throw new UserErrorException("GPTQ needs calibration data and there is none; name a calibration file, or use round-to-nearest.");
        }

        using CpuBackend? own = backend is CpuBackend ? null : new CpuBackend();
        using Arena arena = new(backend);
        ModelQuantizer quantizer = new(
            model, own ?? (CpuBackend)backend, arena, ChooseLayers(model, targets), method, options, timings ?? new QuantizationTimings());
        return quantizer.Run(calibration, progress, cancellationToken);
    }

    private static HashSet<LinearLayer> ChooseLayers(LlamaModel model, IReadOnlyCollection<string>? targets)
    {
        LinearLayer[] all = [.. model.Linears];
        if (targets is { Count: > 0 })
        {
            string[] known = [.. all.Select(layer => layer.ShortName).Distinct()];
            if (targets.FirstOrDefault(target => !known.Contains(target)) is { } unknown)
            {
                throw new UserErrorException($"There is no layer {unknown} to quantise; choose from {string.Join(", ", known)}, or all.");
            }
        }

        HashSet<LinearLayer> chosen = [.. all.Where(layer => targets is not { Count: > 0 } || targets.Contains(layer.ShortName))];
        if (chosen.FirstOrDefault(layer => layer.Weight.Dense is null) is { } done)
        {
            throw new UserErrorException($"{done.Name} is quantised already ({done.Weight}); start from the model in full precision.");
        }

        return chosen;
    }

    private bool IsGptq => _method == QuantizationMethod.Gptq;

    private List<LayerQuantization> Run(IReadOnlyList<int[]> calibration, IProgress<LayerQuantization>? progress, CancellationToken cancellationToken)
    {
        List<LayerQuantization> report = [];
        CalibrationPack[] packs = IsGptq ? CalibrationPack.Fill(calibration, PackedTokens) : [];
        foreach (CalibrationPack pack in packs)
        {
            using ComputeScope scope = new(_arena);
            pack.Stream.Hidden = _model.Embed(scope, pack.Input(scope)).ToArray();
            pack.Exact = _options.Has(Refinements.Target) ? new CalibrationStream { Hidden = [.. pack.Stream.Hidden] } : null;
        }

        MappedFile.ReleasePages(_model.EmbeddingTable);
        foreach (DecoderBlock block in _model.Blocks)
        {
            foreach (LayerQuantization done in QuantizeBlock(block, packs, cancellationToken))
            {
                report.Add(done);
                progress?.Report(done);
            }
        }

        return report;
    }

    private IEnumerable<LayerQuantization> QuantizeBlock(DecoderBlock block, CalibrationPack[] packs, CancellationToken cancellationToken)
    {
        BlockCalibration calibration = new(_model, block, packs, _arena, _options, _timings);
        LinearLayer[][] chosen = [.. BlockCalibration.LayersOf(block).Select(layers => layers.Where(_targets.Contains).ToArray())];
        bool inStages = IsGptq && _options.Has(Refinements.Sequential);
        CalibrationSums?[] sums = new CalibrationSums?[BlockCalibration.Stages];
        for (int stage = 0; IsGptq && !inStages && stage < sums.Length; stage++)
        {
            sums[stage] = SumsOf(chosen[stage]);
        }

        if (IsGptq && !inStages)
        {
            calibration.SumAll(sums, cancellationToken);
        }

        for (int stage = 0; stage < sums.Length; stage++)
        {
            if (inStages)
            {
                sums[stage] = SumsOf(chosen[stage]);
                calibration.SumStage(stage, sums[stage], cancellationToken);
            }

            foreach (LayerQuantization done in QuantizeLayers(chosen[stage], sums[stage], cancellationToken))
            {
                yield return done;
            }
        }

        if (IsGptq)
        {
            calibration.Finish(inStages, cancellationToken);
        }
    }

    private CalibrationSums? SumsOf(LinearLayer[] layers) => layers.Length == 0
        ? null
        : _memory.Sums(layers[0], oneByOne: _options.Has(Refinements.Sequential), deviation: _options.Has(Refinements.Target));

    private IEnumerable<LayerQuantization> QuantizeLayers(LinearLayer[] layers, CalibrationSums? sums, CancellationToken cancellationToken)
    {
        if (layers.Length == 0)
        {
            yield break;
        }

        GroupQuantization group = new(layers, _options, _memory, _algebra, _timings);
        foreach (LayerQuantization done in sums is null ? group.RoundToNearest(cancellationToken) : group.Gptq(sums, cancellationToken))
        {
            yield return done;
        }

        // Codes one a byte: a few large arrays that the collector would let pile up to hundreds of megabytes. Measured: milliseconds.
        GC.Collect();
    }
}
