namespace PureQLora.Training;

/// <summary>Reports on the caller's own thread, unlike <see cref="Progress{T}"/>, so that order and determinism stay.</summary>
/// <typeparam name="T">What is reported.</typeparam>
/// <param name="report">Takes it.</param>
internal sealed class DirectProgress<T>(Action<T> report) : IProgress<T>
{
    /// <inheritdoc/>
    public void Report(T value) => report(value);
}
