using System.Text.Json.Serialization;

namespace PureQLora.Training;

/// <summary>How well a model predicts a text.</summary>
/// <param name="Nll">Mean negative log-likelihood of a token, in nats.</param>
/// <param name="Tokens">Tokens predicted.</param>
public sealed record PerplexityResult([property: JsonPropertyName("nll")] double Nll, [property: JsonPropertyName("tokens")] long Tokens)
{
    /// <summary>exp(<see cref="Nll"/>).</summary>
    [JsonPropertyName("perplexity")]
    [JsonPropertyOrder(-1)]
    public double Perplexity => Math.Exp(Nll);
}
