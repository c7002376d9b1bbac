using System.Diagnostics;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Quantises the linear layers of a model's blocks to the levels of a code book; needs no data.</summary>
public static class BlockwiseModelQuantizer
{
    /// <summary>Quantises the chosen layers in place.</summary>
    /// <param name="model">Dense weights; no layer merged.</param>
    /// <param name="backend">Gives the threads.</param>
    /// <param name="options">Book, block and double quantisation.</param>
    /// <param name="targets">Short names such as <c>q_proj</c>; empty takes all linear layers of the blocks.</param>
    /// <param name="progress">Told after each layer.</param>
    /// <param name="cancellationToken">Checked between layers; the layers done so far stay quantised.</param>
    /// <returns>One entry a layer, in order.</returns>
    /// <exception cref="UserErrorException">An unknown target, weights that are not finite, or an option out of range.</exception>
    public static IReadOnlyList<BlockwiseLayer> Quantize(
        LlamaModel model,
        CpuBackend backend,
        BlockwiseOptions options,
        IReadOnlyCollection<string>? targets = null,
        IProgress<BlockwiseLayer>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        HashSet<LinearLayer> chosen = ModelQuantizer.ChooseLayers(model, targets);
        QuantizationMemory memory = new(backend);
        List<BlockwiseLayer> done = [];
        foreach (LinearLayer layer in model.Linears.Where(chosen.Contains))
        {
            cancellationToken.ThrowIfCancellationRequested();
            done.Add(Quantize(layer, options, memory, backend));
            progress?.Report(done[^1]);
        }

        return done;
    }

    private static BlockwiseLayer Quantize(LinearLayer layer, BlockwiseOptions options, QuantizationMemory memory, CpuBackend backend)
    {
        long started = Stopwatch.GetTimestamp();
        WeightMatrix before = layer.Weight;
        ReadOnlySpan<float> weights = memory.Weights(layer);
        BlockwiseMatrix matrix = BlockwiseQuantizer.Quantize(weights, before.OutDim, options, layer.Name, backend);
        WeightMatrix after = new(matrix.ToMatrix());
        double error = QuantizationError.Relative(weights, after.Quantized!);
        layer.ReplaceWeight(after);
        MappedFile.ReleasePages(before.Dense!);
        LayerQuantization report = new(
            layer.Name, double.NaN, double.NaN, double.NaN, before.ByteLength, after.ByteLength, Stopwatch.GetElapsedTime(started), Warning: null);
        return new BlockwiseLayer(matrix, error, report);
    }
}
