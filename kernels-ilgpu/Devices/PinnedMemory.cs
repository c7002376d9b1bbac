namespace PureQLora.Kernels;

/// <summary>Host memory that a device copies from and to by itself.</summary>
public abstract class PinnedMemory : IDisposable
{
    /// <summary>All bytes.</summary>
    public abstract Span<byte> Bytes { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases the memory.</summary>
    /// <param name="disposing">True from <see cref="Dispose()"/>.</param>
    protected abstract void Dispose(bool disposing);
}
