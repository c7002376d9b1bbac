using PureQLora.Models;

namespace PureQLora.Tools.Quantize;

/// <summary>One way to quantise the model, or the model itself, as the report sets them side by side.</summary>
/// <param name="Name">Such as <c>GPTQ</c>.</param>
/// <param name="Layers">What it did to each layer; empty for the model itself.</param>
internal sealed record QuantizationVariant(string Name, IReadOnlyList<LayerQuantization> Layers)
{
    /// <summary>Of the evaluation text; null where there is none.</summary>
    public double? Perplexity { get; init; }

    /// <summary>All weights of the model.</summary>
    public long Bytes { get; init; }

    public double Seconds { get; init; }
}
