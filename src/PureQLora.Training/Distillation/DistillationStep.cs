namespace PureQLora.Training;

/// <summary>What is told of a distillation after a step.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Divergence">Of the step's batch, before the step; nats a token.</param>
/// <param name="HeldOut">Of the held-out samples, with scales as files store them; null where nobody looked.</param>
public sealed record DistillationStep(int Step, double Divergence, double? HeldOut);
