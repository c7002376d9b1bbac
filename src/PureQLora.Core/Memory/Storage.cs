namespace PureQLora.Core;

/// <summary>One block of memory of a backend. Whoever made it disposes it; tensors are views and own nothing.</summary>
public abstract class Storage : IDisposable
{
    /// <summary>Creates a block of the given size.</summary>
    /// <param name="byteLength">Bytes, not negative.</param>
    protected Storage(long byteLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(byteLength);
        ByteLength = byteLength;
    }

    /// <summary>Size in bytes.</summary>
    public long ByteLength { get; }

    /// <summary>Copies bytes from this block to the host.</summary>
    public abstract void Read(long byteOffset, Span<byte> destination);

    /// <summary>Copies bytes from the host into this block.</summary>
    public abstract void Write(long byteOffset, ReadOnlySpan<byte> source);

    /// <summary>A block of the same memory with every byte 0. The caller disposes it.</summary>
    /// <param name="byteLength">Bytes, not negative.</param>
    public abstract Storage AllocateZeros(long byteLength);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases the memory; called once from <see cref="Dispose()"/> or a finalizer.</summary>
    protected abstract void Dispose(bool disposing);
}
