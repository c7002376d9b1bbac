namespace PureQLora.Training;

/// <summary>A run that cannot go on: loss or gradient not finite, or an adapter that does not learn. Checkpoints already saved are intact.</summary>
/// <param name="message">What happened at which step and layer, and what to try.</param>
public sealed class TrainingFailedException(string message) : Exception(message);
