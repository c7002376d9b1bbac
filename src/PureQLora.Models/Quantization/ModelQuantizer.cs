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
    private const int PackedTokens = 2048;

    private readonly LlamaModel _model;
    private readonly Arena _arena;
    private readonly HashSet<LinearLayer> _targets;

    private readonly QuantizationMethod _method;
    private readonly GptqOptions _options;

    private ModelQuantizer(LlamaModel model, Arena arena, HashSet<LinearLayer> targets, QuantizationMethod method, GptqOptions options) =>
        (_model, _arena, _targets, _method, _options) = (model, arena, targets, method, options);

    /// <summary>Quantises the chosen layers in place.</summary>
    /// <param name="model">Dense weights; no layer merged.</param>
    /// <param name="backend">Runs the calibration.</param>
    /// <param name="method">GPTQ or rounding to nearest.</param>
    /// <param name="options">Grid and algorithm.</param>
    /// <param name="calibration">Token ids, one array a sample; may be empty for rounding to nearest.</param>
    /// <param name="targets">Short names such as <c>q_proj</c>; empty takes all linear layers of the blocks.</param>
    /// <param name="progress">Told after each layer.</param>
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

        using Arena arena = new(backend);
        ModelQuantizer quantizer = new(model, arena, ChooseLayers(model, targets), method, options);
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

    private List<LayerQuantization> Run(IReadOnlyList<int[]> calibration, IProgress<LayerQuantization>? progress, CancellationToken cancellationToken)
    {
        List<LayerQuantization> report = [];
        CalibrationPack[] packs = _method == QuantizationMethod.Gptq ? CalibrationPack.Fill(calibration, PackedTokens) : [];
        foreach (CalibrationPack pack in packs)
        {
            using ComputeScope scope = new(_arena);
            pack.Hidden = _model.Embed(scope, pack.Input(scope)).ToArray();
        }

        foreach (DecoderBlock block in _model.Blocks)
        {
            QuantizeBlock(block, packs, report, progress, cancellationToken);
            foreach (CalibrationPack pack in packs)
            {
                RunBlock(block, pack, keepOutput: true);
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
            HessianFactor? factor = hessians.Length == 0
                ? null
                : HessianFactor.Create(hessians[i].Complete(), hessians[i].Columns, _options, chosen[i][0].Name);
            foreach (LinearLayer layer in chosen[i])
            {
                cancellationToken.ThrowIfCancellationRequested();
                LayerQuantization done = QuantizeLayer(layer, factor);
                report.Add(done);
                progress?.Report(done);
            }
        }
    }

    private HessianAccumulator[] Accumulate(DecoderBlock block, LinearLayer[][] groups, CalibrationPack[] packs, CancellationToken cancellationToken)
    {
        HessianAccumulator[] hessians = [.. groups.Select(group => new HessianAccumulator(group[0].Weight.InDim, group[0].Name))];
        for (int i = 0; i < groups.Length; i++)
        {
            HessianAccumulator hessian = hessians[i];
            groups[i][0].InputObserver = x => hessian.Add(x.Floats, checked((int)x.Shape.Rows));
        }

        try
        {
            foreach (CalibrationPack pack in packs)
            {
                cancellationToken.ThrowIfCancellationRequested();
                RunBlock(block, pack, keepOutput: false);
            }
        }
        finally
        {
            foreach (LinearLayer[] group in groups)
            {
                group[0].InputObserver = null;
            }
        }

        return hessians;
    }

    private void RunBlock(DecoderBlock block, CalibrationPack pack, bool keepOutput)
    {
        using ComputeScope scope = new(_arena);
        ModelInput input = pack.Input(scope);
        Tensor x = scope.From(pack.Hidden, new Shape(1, pack.Tokens, _model.Config.HiddenSize));
        Tensor y = block.Forward(scope, x, _model.Context(input));
        if (keepOutput)
        {
            y.Floats.CopyTo(pack.Hidden);
        }
    }

    private LayerQuantization QuantizeLayer(LinearLayer layer, HessianFactor? factor)
    {
        Stopwatch watch = Stopwatch.StartNew();
        WeightMatrix before = layer.Weight;
        float[] dense = before.Dense!.ToArray();
        QuantizationResult result = factor is null
            ? RoundToNearestQuantizer.Quantize(dense, before.OutDim, _options, layer.Name)
            : GptqQuantizer.Quantize(dense, before.OutDim, factor, _options, layer.Name);
        WeightMatrix after = new(result.ToMatrix());
        layer.ReplaceWeight(after);
        return new LayerQuantization(
            layer.Name, result.ProxyLoss, result.RoundToNearestLoss, result.Damping, before.ByteLength, after.ByteLength, watch.Elapsed, result.Warning);
    }
}
