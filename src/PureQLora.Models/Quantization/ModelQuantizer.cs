using System.Diagnostics;
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
        if (method == QuantizationMethod.Nf4)
        {
            throw new ArgumentException($"NF4 has no grid of integers; it is {nameof(BlockwiseModelQuantizer)}'s.", nameof(method));
        }

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

    internal static HashSet<LinearLayer> ChooseLayers(LlamaModel model, IReadOnlyCollection<string>? targets)
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

    private List<LayerQuantization> Run(IReadOnlyList<int[]> calibration, IProgress<LayerQuantization>? progress, CancellationToken cancellationToken)
    {
        List<LayerQuantization> report = [];
        CalibrationPack[] packs = _method == QuantizationMethod.Gptq ? CalibrationPack.Fill(calibration, PackedTokens) : [];
        foreach (CalibrationPack pack in packs)
        {
            using ComputeScope scope = new(_arena);
            pack.Hidden = _model.Embed(scope, pack.Input(scope)).ToArray();
        }

        MappedFile.ReleasePages(_model.EmbeddingTable);
        foreach (DecoderBlock block in _model.Blocks)
        {
            QuantizeBlock(block, packs, report, progress, cancellationToken);
            if (block != _model.Blocks[^1])
            {
                RunOutput(block, packs, cancellationToken);
            }
        }

        return report;
    }

    private void QuantizeBlock(
        DecoderBlock block, CalibrationPack[] packs, List<LayerQuantization> report, IProgress<LayerQuantization>? progress, CancellationToken cancellationToken)
    {
        LinearLayer[][] groups =
        [
            [block.Attention.Query, block.Attention.Key, block.Attention.Value],
            [block.Attention.Output],
            [block.FeedForward.Gate, block.FeedForward.Up],
            [block.FeedForward.Down],
        ];
        LinearLayer[][] chosen = [.. groups.Select(group => group.Where(_targets.Contains).ToArray()).Where(group => group.Length > 0)];
        HessianAccumulator[] hessians = _method == QuantizationMethod.Gptq ? Accumulate(block, chosen, packs, cancellationToken) : [];
        for (int i = 0; i < chosen.Length; i++)
        {
            GroupQuantization group = new(chosen[i], _options, _memory, _algebra, _timings);
            IEnumerable<LayerQuantization> layers = hessians.Length == 0
                ? group.RoundToNearest(cancellationToken)
                : group.Gptq(hessians[i], cancellationToken);
            foreach (LayerQuantization done in layers)
            {
                report.Add(done);
                progress?.Report(done);
            }

            // Codes one a byte: a few large arrays that the collector would let pile up to hundreds of megabytes. Measured: milliseconds.
            GC.Collect();
        }
    }

    private HessianAccumulator[] Accumulate(DecoderBlock block, LinearLayer[][] groups, CalibrationPack[] packs, CancellationToken cancellationToken)
    {
        HessianAccumulator[] hessians = [.. groups.Select(group => _memory.Hessian(group[0]))];
        for (int i = 0; i < groups.Length; i++)
        {
            HessianAccumulator hessian = hessians[i];
            groups[i][0].InputObserver = x => Observe(hessian, x);
        }

        long started = Stopwatch.GetTimestamp();
        TimeSpan before = _timings[QuantizationStage.Hessian];
        try
        {
            foreach (CalibrationPack pack in packs)
            {
                cancellationToken.ThrowIfCancellationRequested();
                using ComputeScope scope = new(_arena) { Precision = _options.CalibrationPrecision };
                Tensor x = pack.Block(scope, _model.Config.HiddenSize);
                block.ForwardToDown(scope, x, _model.Context(pack.Input(scope)));
            }
        }
        finally
        {
            foreach (LinearLayer[] group in groups)
            {
                group[0].InputObserver = null;
            }
        }

        _timings.Add(QuantizationStage.Calibration, started);
        _timings.Subtract(QuantizationStage.Calibration, _timings[QuantizationStage.Hessian] - before);
        return hessians;
    }

    private void Observe(HessianAccumulator hessian, Tensor x)
    {
        long started = Stopwatch.GetTimestamp();
        hessian.Add(x.Floats, checked((int)x.Shape.Rows));
        _timings.Add(QuantizationStage.Hessian, started);
    }

    /// <summary>Replaces the hidden states by what the block makes of them.</summary>
    private void RunOutput(DecoderBlock block, CalibrationPack[] packs, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        foreach (CalibrationPack pack in packs)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using ComputeScope scope = new(_arena) { Precision = _options.CalibrationPrecision };
            Tensor x = pack.Block(scope, _model.Config.HiddenSize);
            block.Forward(scope, x, _model.Context(pack.Input(scope))).Floats.CopyTo(pack.Hidden);
        }

        _timings.Add(QuantizationStage.Output, started);
    }
}
