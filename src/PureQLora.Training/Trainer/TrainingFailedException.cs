namespace PureQLora.Training;

/// <summary>
/// A run that cannot go on: loss or gradient not finite, an adapter that does not learn, or a device that failed. Checkpoints already saved
/// are intact.
/// </summary>
/// <param name="message">What happened at which step and layer, and what to try.</param>
/// <param name="innerException">What it came from, or null.</param>
public sealed class TrainingFailedException(string message, Exception? innerException = null) : Exception(message, innerException);
