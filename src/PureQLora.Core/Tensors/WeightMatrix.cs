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
    public WeightMatrix(QuantizedMatrix quantized, bool trainScales = false)
    {
        ArgumentNullException.ThrowIfNull(quantized);
        Quantized = quantized;
        Scales = trainScales ? quantized.ViewScales().AsParameter() : null;
        (OutDim, InDim) = (quantized.OutDim, quantized.InDim);
    }

    /// <summary>The dense values, or null.</summary>
    public Tensor? Dense { get; }

    /// <summary>The quantised values, or null.</summary>
    public QuantizedMatrix? Quantized { get; }

    /// <summary>Scales of a quantised weight as a parameter, [outDim, groups]; null where they are frozen.</summary>
    public Tensor? Scales { get; }

    /// <summary>Output features.</summary>
    public int OutDim { get; }

    /// <summary>Input features.</summary>
    public int InDim { get; }

    /// <summary>Bytes in memory.</summary>
    public long ByteLength => Dense?.ByteLength ?? Quantized!.ByteLength;

    /// <summary>
    /// The weight for a backend: itself where a dense one is in its memory already, else a copy there. Of a quantised one the backend
    /// makes its own copy, packed as its kernels read it, at the first product.
    /// </summary>
    /// <param name="backend">Shall compute with it.</param>
    public WeightMatrix To(IBackend backend)
    {
        Tensor? moved = Dense?.To(backend);
        return moved is null || ReferenceEquals(moved, Dense) ? this : new WeightMatrix(moved);
    }

    /// <inheritdoc/>
    public override string ToString() => Dense is not null ? $"{Dense.DataType}[{OutDim}, {InDim}]" : $"{Quantized!.CodeBook?.Name ?? $"int{Quantized.Bits}"}[{OutDim}, {InDim}]";
}
