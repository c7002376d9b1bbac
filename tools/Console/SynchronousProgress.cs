namespace PureQLora.Tools;

/// <summary>Reports on the caller's own thread, so that lines come in order.</summary>
/// <typeparam name="T">What is reported.</typeparam>
/// <param name="report">Shows it.</param>
public sealed class SynchronousProgress<T>(Action<T> report) : IProgress<T>
{
    /// <inheritdoc/>
    public void Report(T value) => report(value);
}
