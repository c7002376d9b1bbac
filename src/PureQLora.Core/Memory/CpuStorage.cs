using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>Host memory: an aligned native block of its own, or a window on memory that another object owns (a mapped file).</summary>
public sealed unsafe class CpuStorage : Storage
{
    /// <summary>Every block starts on a cache line, which is also the widest vector.</summary>
    public const int Alignment = 64;

    private readonly object? _owner;
    private readonly bool _readOnly;
    private byte* _pointer;

    /// <summary>Allocates a block; its contents are undefined until written.</summary>
    /// <param name="byteLength">Bytes, not negative.</param>
    public CpuStorage(long byteLength)
        : base(byteLength)
    {
        // One spare line, so that a kernel may read a whole vector at the last element.
        _pointer = LargePages.Allocate((nuint)(byteLength + Alignment));
        GC.AddMemoryPressure(byteLength + Alignment);
    }

    /// <summary>Wraps memory that <paramref name="owner"/> keeps alive; nothing is copied or freed.</summary>
    /// <param name="pointer">First byte.</param>
    /// <param name="byteLength">Bytes that may be read.</param>
    /// <param name="owner">Kept reachable as long as this storage is.</param>
    /// <param name="readOnly">Writing throws instead of faulting.</param>
    public CpuStorage(byte* pointer, long byteLength, object owner, bool readOnly)
        : base(byteLength)
    {
        _pointer = pointer;
        (_owner, _readOnly) = (owner, readOnly);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees a block that nobody disposed.</summary>
    ~CpuStorage() => Dispose(disposing: false);

    /// <summary>First byte; valid until disposal.</summary>
    /// <exception cref="ObjectDisposedException">The block was released.</exception>
    public byte* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_pointer is null, this);
            return _pointer;
        }
    }

    /// <summary>What keeps wrapped memory alive; null for a block of its own.</summary>
    public object? Owner => _owner;

    /// <summary>True where writing would fault, as in a file mapped for reading.</summary>
    public bool IsReadOnly => _readOnly;

    /// <inheritdoc/>
    public override void Read(long byteOffset, Span<byte> destination)
    {
        Check(byteOffset, destination.Length);
        new ReadOnlySpan<byte>(Pointer + byteOffset, destination.Length).CopyTo(destination);
        GC.KeepAlive(this);
    }

    /// <inheritdoc/>
    public override void Write(long byteOffset, ReadOnlySpan<byte> source)
    {
        Check(byteOffset, source.Length);
        if (_readOnly)
        {
            throw new InvalidOperationException("These weights are mapped read-only; copy them before training them.");
        }

        source.CopyTo(new Span<byte>(Pointer + byteOffset, source.Length));
        GC.KeepAlive(this);
    }

    /// <inheritdoc/>
    public override Storage AllocateZeros(long byteLength)
    {
        CpuStorage storage = new(byteLength);
        NativeMemory.Clear(storage.Pointer, (nuint)byteLength);
        return storage;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (_pointer is not null && _owner is null)
        {
            NativeMemory.AlignedFree(_pointer);
            GC.RemoveMemoryPressure(ByteLength + Alignment);
        }

        _pointer = null;
    }

    private void Check(long byteOffset, long length)
    {
        if (byteOffset < 0 || length > ByteLength - byteOffset)
        {
            throw new ArgumentOutOfRangeException(nameof(byteOffset), byteOffset, $"{length} bytes from here leave a block of {ByteLength}.");
        }
    }
}
