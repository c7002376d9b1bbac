using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Folds adapters into weights: W + s·B·A. Dense weights come back with their exact bits; quantised ones are quantised again.</summary>
/// <remarks>Hu et al., arXiv:2106.09685, section 4.1.</remarks>
public static class LoraMerge
{
    /// <summary>Folds every adapter into its dense weight, in float32.</summary>
    /// <exception cref="UserErrorException">A weight is quantised; see <see cref="MergeQuantized"/>.</exception>
    public static void Merge(LlamaModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        LinearLayer[] layers = [.. model.Linears.Where(layer => layer.Adapter is not null)];
        if (layers.FirstOrDefault(layer => layer.Weight.Dense is null) is { } quantized)
        {
            throw new UserErrorException($"{quantized.Name} is quantised ({quantized.Weight}): merging rounds again and loses accuracy; merge into the model in full precision, or ask for re-quantisation.");
        }

        foreach (LinearLayer layer in layers)
        {
            layer.Merge(new WeightMatrix(Tensor.From(Merged(layer), new Shape(layer.Weight.OutDim, layer.Weight.InDim))));
        }
    }

    /// <summary>Puts the weights of before the merge back, bit for bit.</summary>
    public static void Unmerge(LlamaModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        foreach (LinearLayer layer in model.Linears.Where(layer => layer.IsMerged))
        {
            layer.Unmerge();
        }
    }

    /// <summary>
    /// Folds every adapter into its weight without rounding: a dense weight becomes W + s·B·A, a quantised one keeps its codes, scales and
    /// zero points and gets the adapter of QA-LoRA as offsets (<see cref="WeightMatrix.Offsets"/>), added to those it has.
    /// </summary>
    /// <remarks>Xu et al., arXiv:2309.14717, section 3.3.</remarks>
    /// <exception cref="UserErrorException">An adapter on a quantised weight is none of QA-LoRA in the weight's groups; nothing is merged.</exception>
    public static void MergeOffsets(LlamaModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        RequireExact(model);
        foreach (LinearLayer layer in model.Linears.Where(layer => layer.Adapter is not null))
        {
            layer.Merge(layer.Weight.Quantized is { } codes
                ? new WeightMatrix(codes, offsets: Offsets(layer, codes))
                : new WeightMatrix(Tensor.From(Merged(layer), new Shape(layer.Weight.OutDim, layer.Weight.InDim))));
        }
    }

    /// <summary>Refuses adapters that <see cref="MergeOffsets"/> cannot fold into their weights.</summary>
    /// <exception cref="UserErrorException">An adapter on a quantised weight is none of QA-LoRA in the weight's groups.</exception>
    public static void RequireExact(LlamaModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        foreach (LinearLayer layer in model.Linears.Where(layer => layer.Adapter is not null))
        {
            RequireOffsets(layer);
        }
    }

    /// <summary>
    /// Folds every adapter into its weight; a quantised weight is rounded to nearest again with its own bits, symmetry or code book, and
    /// group size (groups of neighbouring columns), and the error that this brings is reported.
    /// </summary>
    /// <returns>For each re-quantised layer the relative error ‖Q(W + s·B·A) − (W + s·B·A)‖ / ‖W + s·B·A‖.</returns>
    public static IReadOnlyList<(string Layer, double RelativeError)> MergeQuantized(LlamaModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        List<(string, double)> errors = [];
        foreach (LinearLayer layer in model.Linears.Where(layer => layer.Adapter is not null))
        {
            float[] merged = Merged(layer);
            if (layer.Weight.Quantized is not { } before)
            {
                layer.Merge(new WeightMatrix(Tensor.From(merged, new Shape(layer.Weight.OutDim, layer.Weight.InDim))));
                continue;
            }

            QuantizedMatrix after = Round(merged, before, layer.Name);
            errors.Add((layer.Name, QuantizationError.Relative(merged, after)));
            layer.Merge(new WeightMatrix(after));
        }

        return errors;
    }

    /// <summary>Folds an adapter into a weight of a code book, rounding it again, as <see cref="BitsAndBytesCheckpoint"/> writes it; nothing is changed.</summary>
    /// <param name="layer">Has an adapter.</param>
    /// <param name="options">Book, block and double quantisation.</param>
    /// <returns>The weight, and ‖Q(W + s·B·A) − (W + s·B·A)‖ / ‖W + s·B·A‖.</returns>
    public static (BlockwiseMatrix Matrix, double RelativeError) MergeBlockwise(LinearLayer layer, BlockwiseOptions options)
    {
        float[] merged = MergedWeight(layer);
        BlockwiseMatrix matrix = BlockwiseQuantizer.Quantize(merged, layer.Weight.OutDim, options, layer.Name);
        using QuantizedMatrix after = matrix.ToMatrix();
        return (matrix, QuantizationError.Relative(merged, after));
    }

    /// <summary>W + s·B·A in float32, computed in float64, of a layer that has an adapter; nothing is changed.</summary>
    /// <param name="layer">Dense or quantised, with an adapter.</param>
    /// <returns>[outDim, inDim]</returns>
    /// <exception cref="ArgumentException">The layer has no adapter.</exception>
    public static float[] MergedWeight(LinearLayer layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return layer.Adapter is null ? throw new ArgumentException($"{layer.Name} has no adapter.", nameof(layer)) : Merged(layer);
    }

    private static void RequireOffsets(LinearLayer layer)
    {
        if (layer.Weight.Quantized is not { } codes)
        {
            return;
        }

        int groupSize = layer.Adapter!.GroupSize;
        string? fault = groupSize == 0 ? "its adapter is plain LoRA, not QA-LoRA"
            : codes.CodeBook is { } book ? $"{book.Name} has no zero points"
            : !codes.GroupIndex.IsEmpty ? "its groups are scattered (act-order)"
            : codes.InDim % codes.GroupSize != 0 ? $"its {codes.InDim} inputs end in a shorter group than {codes.GroupSize}"
            : groupSize % codes.GroupSize != 0 ? $"the adapter pools {groupSize} inputs and its groups are of {codes.GroupSize}"
            : null;
        if (fault is not null)
        {
            throw new UserErrorException($"{layer.Name} is quantised ({layer.Weight}) and cannot take its adapter without rounding again: {fault}; merge into the model in full precision, or ask for re-quantisation.");
        }
    }

    /// <summary>s·factor·B·A, one value a group of the codes, and the offsets that are there. [outDim, groups]</summary>
    private static Tensor Offsets(LinearLayer layer, QuantizedMatrix codes)
    {
        LoraAdapter adapter = layer.Adapter!;
        (float[] a, float[] b) = (adapter.A.ToArray(), adapter.B.ToArray());
        float[]? before = layer.Weight.Offsets?.ToArray();
        (int rank, int columns) = (adapter.Rank, (int)adapter.A.Shape[1]);
        int groups = codes.Groups;
        double scale = adapter.Scale * LoraBranch.PoolingFactor(codes.InDim, adapter.GroupSize);
        float[] offsets = new float[codes.OutDim * groups];
        for (int at = 0; at < offsets.Length; at++)
        {
            (int row, int column) = (at / groups, (int)((long)(at % groups) * columns / groups));
            double sum = 0;
            for (int r = 0; r < rank; r++)
            {
                sum += (double)b[(row * rank) + r] * a[(r * columns) + column];
            }

            offsets[at] = (float)((before?[at] ?? 0) + (scale * sum));
        }

        return Tensor.From(offsets, new Shape(codes.OutDim, groups));
    }

    private static QuantizedMatrix Round(float[] merged, QuantizedMatrix before, string layer)
    {
        if (before.CodeBook is { } book)
        {
            return BlockwiseQuantizer.Quantize(merged, before.OutDim, book, before.GroupSize, layer).ToMatrix();
        }

        GptqOptions options = new() { Bits = before.Bits, GroupSize = before.GroupSize, Symmetric = IsSymmetric(before) };
        return RoundToNearestQuantizer.Quantize(merged, before.OutDim, options, layer).ToMatrix();
    }

    // Readers with fast kernels for symmetric checkpoints never look at the zero points, so a grid must stay what the file says.
    private static bool IsSymmetric(QuantizedMatrix matrix)
    {
        int middle = 1 << (matrix.Bits - 1);
        for (int row = 0; row < matrix.OutDim; row++)
        {
            for (int group = 0; group < matrix.Groups; group++)
            {
                if (matrix.Zero(row, group) != middle)
                {
                    return false;
                }
            }
        }

        return true;
    }

    private static float[] Merged(LinearLayer layer)
    {
        LoraAdapter adapter = layer.Adapter!;
        (int outDim, int inDim, int rank) = (layer.Weight.OutDim, layer.Weight.InDim, adapter.Rank);
        float[] merged = layer.Weight.ToArray();
        (float[] a, float[] b) = (adapter.FullA(), adapter.B.ToArray());
        double[] update = new double[inDim];
        for (int row = 0; row < outDim; row++)
        {
            Array.Clear(update);
            for (int r = 0; r < rank; r++)
            {
                double factor = (double)adapter.Scale * b[(row * rank) + r];
                for (int column = 0; column < inDim; column++)
                {
                    update[column] += factor * a[(r * inDim) + column];
                }
            }

            for (int column = 0; column < inDim; column++)
            {
                int at = (row * inDim) + column;
                merged[at] = (float)(merged[at] + update[column]);
            }
        }

        return merged;
    }
}
