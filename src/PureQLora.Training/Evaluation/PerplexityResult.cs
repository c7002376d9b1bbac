using System.Text.Json.Serialization;

namespace PureQLora.Training;

/// <summary>How well a model predicts a text.</summary>
/// <param name="Nll">Mean negative log-likelihood of a token, in nats.</param>
/// <param name="Tokens">Tokens predicted.</param>
public sealed record PerplexityResult([property: JsonPropertyName("nll")] double Nll, [property: JsonPropertyName("tokens")] long Tokens)
{
    /// <summary>Rounding of the operands of matrix products, such as <c>bfloat16</c>.</summary>
    [JsonPropertyName("precision")]
    public required string Precision { get; init; }

    /// <summary>What computed it, such as <c>cpu, avx512-bf16, 2 threads</c>.</summary>
    [JsonPropertyName("device")]
    public string? Device { get; init; }

    /// <summary>exp(<see cref="Nll"/>).</summary>
    [JsonPropertyName("perplexity")]
    [JsonPropertyOrder(-1)]
    public double Perplexity => Math.Exp(Nll);
}
