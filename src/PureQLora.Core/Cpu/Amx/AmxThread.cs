namespace PureQLora.Core;

/// <summary>
/// What a thread needs before its first tile, until disposal on the same thread at its end: a larger stack for signal handlers, so that a
/// null reference stays an exception, and the configuration of the tiles. Only for threads of our own: those of others come without it.
/// </summary>
internal sealed class AmxThread : IDisposable
{
    private readonly AlternateSignalStack _signalStack = new();

    /// <summary>Prepares the calling thread; <see cref="AmxPermission"/> must have been granted.</summary>
    public AmxThread() => AmxConfiguration.Load();

    /// <inheritdoc/>
    public void Dispose()
    {
        // In this order: from here on a signal frame of this thread is as small as any other's.
        AmxConfiguration.Release();
        _signalStack.Dispose();
    }
}
