namespace PureQLora.Training;

/// <summary>What a distillation did.</summary>
/// <param name="Before">Divergence of the held-out samples before it, with scales as files store them; nats a token.</param>
/// <param name="After">The same of the state that was kept; never above <paramref name="Before"/>.</param>
/// <param name="KeptStep">Step after which the kept state was reached; 0 where no step improved on the start.</param>
/// <param name="Steps">Steps done.</param>
/// <param name="Samples">Samples that were trained on.</param>
/// <param name="HeldOutSamples">Samples that were held out.</param>
/// <param name="Seconds">Time.</param>
public sealed record DistillationResult(double Before, double After, int KeptStep, int Steps, int Samples, int HeldOutSamples, double Seconds);
