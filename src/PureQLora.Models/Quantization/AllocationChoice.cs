namespace PureQLora.Models;

/// <summary>One way to quantise an <see cref="AllocationUnit"/>.</summary>
/// <param name="Settings">Bits and group size.</param>
/// <param name="StoredBits">Of all its layers together.</param>
/// <param name="Error">Predicted divergence of the model's predictions, nats a token.</param>
public sealed record AllocationChoice(LayerSettings Settings, long StoredBits, double Error);
