namespace PureQLora.Training;

/// <summary>A run was cancelled and can be resumed.</summary>
/// <param name="message">Where it stopped and what is saved.</param>
/// <param name="folder">The run's folder, to resume from.</param>
/// <param name="innerException">The cancellation.</param>
public sealed class RunInterruptedException(string message, string folder, Exception? innerException = null) : OperationCanceledException(message, innerException)
{
    /// <summary>The run's folder.</summary>
    public string Folder { get; } = folder;
}
