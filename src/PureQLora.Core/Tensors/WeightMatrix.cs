namespace PureQLora.Core;

/// <summary>
/// The weight of a linear layer, [outDim, inDim]: dense (any floating type, trainable if float32), or quantised with frozen codes and, if
/// wanted, trained scales.
/// </summary>
public sealed class WeightMatrix
{
    /// <summary>A dense weight.</summary>
    /// <param name="dense">[outDim, inDim]</param>
    public WeightMatrix(Tensor dense)
    {
        ArgumentNullException.ThrowIfNull(dense);
        if (dense.Shape.Rank != 2 || !dense.DataType.IsFloating())
        {
            throw new ArgumentException($"A weight is a floating [outDim, inDim] matrix, this is {dense}.", nameof(dense));
        }

        Dense = dense;
        (OutDim, InDim) = (checked((int)dense.Shape[0]), checked((int)dense.Shape[1]));
    }

    /// <summary>A quantised weight.</summary>
    /// <param name="quantized">Codes with scales.</param>
    /// <param name="trainScales">Makes the scales a parameter: the optimiser then writes into the matrix itself.</param>
    /// <param name="offsets">Added to the values, [outDim, groups] of any number of groups that divides inDim, Float32; null for none.</param>
    /// <exception cref="ArgumentException">The offsets do not fit.</exception>
    public WeightMatrix(QuantizedMatrix quantized, bool trainScales = false, Tensor? offsets = null)
    {
        ArgumentNullException.ThrowIfNull(quantized);
        if (offsets is not null
            && (offsets.DataType != DataType.Float32 || offsets.Shape.Rank != 2 || offsets.Shape[0] != quantized.OutDim || offsets.Shape[1] < 1 || quantized.InDim % offsets.Shape[1] != 0))
        {
            throw new ArgumentException($"The offsets are {offsets}, a weight of [{quantized.OutDim}, {quantized.InDim}] takes Float32[{quantized.OutDim}, groups] with groups that divide {quantized.InDim}.", nameof(offsets));
        }

        (Quantized, Offsets) = (quantized, offsets);
        Scales = trainScales ? quantized.ViewScales().AsParameter() : null;
        (OutDim, InDim) = (quantized.OutDim, quantized.InDim);
    }

    /// <summary>The dense values, or null.</summary>
    public Tensor? Dense { get; }

    /// <summary>The quantised values, or null.</summary>
    public QuantizedMatrix? Quantized { get; }

    /// <summary>Scales of a quantised weight as a parameter, [outDim, groups]; null where they are frozen.</summary>
    public Tensor? Scales { get; }

    /// <summary>
    /// What a merged QA-LoRA adapter has left beside a quantised weight, [outDim, groups], Float32, frozen: each value is that of its code
    /// plus its group's offset. Null for none. <see cref="QLoraLinear"/> adds them; a bare product does not.
    /// </summary>
    /// <remarks>Xu et al., arXiv:2309.14717, section 3.3: an offset is −scale times what the adapter adds to the zero point.</remarks>
    public Tensor? Offsets { get; }

    /// <summary>Output features.</summary>
    public int OutDim { get; }

    /// <summary>Input features.</summary>
    public int InDim { get; }

    /// <summary>Bytes in memory.</summary>
    public long ByteLength => Dense?.ByteLength ?? (Quantized!.ByteLength + (Offsets?.ByteLength ?? 0));

    /// <summary>All values in float32, [outDim, inDim]: dequantised, with their offsets.</summary>
    public float[] ToArray()
    {
        float[] values = Dense?.ToArray() ?? Quantized!.Dequantize();
        if (Offsets?.ToArray() is { } offsets)
        {
            int groupSize = values.Length / offsets.Length;
            for (int i = 0; i < values.Length; i++)
            {
                values[i] += offsets[i / groupSize];
            }
        }

        return values;
    }

    /// <summary>
    /// The weight for a backend: itself where a dense one is in its memory already, else a copy there. Of a quantised one the backend
    /// makes its own copy, packed as its kernels read it, at the first product.
    /// </summary>
    /// <param name="backend">Shall compute with it.</param>
    public WeightMatrix To(IBackend backend)
    {
        Tensor? moved = Dense?.To(backend);
        if (moved is not null)
        {
            return ReferenceEquals(moved, Dense) ? this : new WeightMatrix(moved);
        }

        return Offsets?.To(backend) is { } offsets && !ReferenceEquals(offsets, Offsets)
            ? new WeightMatrix(Quantized!, Scales is not null, offsets)
            : this;
    }

    /// <inheritdoc/>
    public override string ToString() => Dense is not null ? $"{Dense.DataType}[{OutDim}, {InDim}]" : $"{Quantized!.CodeBook?.Name ?? $"int{Quantized.Bits}"}[{OutDim}, {InDim}]";
}
