using System.Runtime.CompilerServices;
using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>A block of device memory. Reading waits for what was launched before.</summary>
public abstract class DeviceMemory : Storage
{
    private readonly Device _device;
    private bool _released;

    /// <summary>A block, which counts from now on as given out.</summary>
    /// <param name="device">Whose memory it is.</param>
    /// <param name="byteLength">Bytes.</param>
    protected DeviceMemory(Device device, long byteLength)
        : base(byteLength)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
        device.Take(byteLength);
    }

    /// <summary>A stretch of the block as the kernels see it.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="byteOffset">First byte, a multiple of the size of an element.</param>
    /// <param name="count">Elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">The stretch leaves the block.</exception>
    public abstract ArrayView<T> View<T>(long byteOffset, long count)
        where T : unmanaged;

    /// <summary>Starts a copy from pinned host memory and returns.</summary>
    /// <param name="byteOffset">Where to write.</param>
    /// <param name="source">Not to be written before the device has been synchronised.</param>
    /// <param name="sourceOffset">First byte.</param>
    /// <param name="count">Bytes.</param>
    public abstract void CopyFromAsync(long byteOffset, PinnedMemory source, int sourceOffset, int count);

    /// <summary>Starts a copy to pinned host memory and returns.</summary>
    /// <param name="byteOffset">Where to read.</param>
    /// <param name="destination">Not to be read before the device has been synchronised.</param>
    /// <param name="destinationOffset">First byte.</param>
    /// <param name="count">Bytes.</param>
    public abstract void CopyToAsync(long byteOffset, PinnedMemory destination, int destinationOffset, int count);

    /// <summary>Starts a copy from another block of this device, or from elsewhere in this one, and returns.</summary>
    /// <param name="byteOffset">Where to write.</param>
    /// <param name="source">Of the same device.</param>
    /// <param name="sourceOffset">First byte.</param>
    /// <param name="count">Bytes.</param>
    /// <exception cref="ArgumentException">The ranges overlap.</exception>
    public abstract void CopyFromAsync(long byteOffset, DeviceMemory source, long sourceOffset, long count);

    /// <summary>Starts setting every byte of a stretch to 0 and returns.</summary>
    /// <param name="byteOffset">First byte.</param>
    /// <param name="count">Bytes.</param>
    public abstract void ZeroAsync(long byteOffset, long count);

    /// <inheritdoc/>
    public sealed override Storage AllocateZeros(long byteLength)
    {
        DeviceMemory memory = _device.Allocate(byteLength);
        memory.ZeroAsync(0, byteLength);
        return memory;
    }

    /// <summary>Counts a read, which waits for what was launched before.</summary>
    protected void CountWait() => _device.CountWait();

    /// <summary>Gives the block back to the device; called once.</summary>
    protected abstract void Release();

    /// <inheritdoc/>
    protected sealed override void Dispose(bool disposing)
    {
        if (disposing && !_released)
        {
            _released = true;
            _device.GiveBack(ByteLength);
            Release();
        }
    }

    /// <summary>Throws if a copy inside the device leaves its blocks or overlaps itself.</summary>
    /// <param name="byteOffset">Where to write.</param>
    /// <param name="source">Block to read.</param>
    /// <param name="sourceOffset">Where to read.</param>
    /// <param name="count">Bytes.</param>
    protected void CheckCopy(long byteOffset, DeviceMemory source, long sourceOffset, long count)
    {
        ArgumentNullException.ThrowIfNull(source);
        CheckRange(byteOffset, count);
        source.CheckRange(sourceOffset, count);
        if (ReferenceEquals(this, source) && Math.Abs(byteOffset - sourceOffset) < count)
        {
            throw new ArgumentException($"{count} bytes from {sourceOffset} overlap their destination at {byteOffset}.", nameof(sourceOffset));
        }
    }

    /// <summary>Throws if a view would leave the block or be misaligned.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="byteOffset">First byte.</param>
    /// <param name="count">Elements.</param>
    protected void CheckView<T>(long byteOffset, long count)
        where T : unmanaged
    {
        CheckRange(byteOffset, checked(count * Unsafe.SizeOf<T>()));
        if (byteOffset % Unsafe.SizeOf<T>() != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(byteOffset), byteOffset, $"A view on elements of {Unsafe.SizeOf<T>()} bytes starts at a multiple of them.");
        }
    }

    /// <summary>Throws if a stretch leaves the block.</summary>
    /// <param name="byteOffset">First byte.</param>
    /// <param name="count">Bytes.</param>
    protected void CheckRange(long byteOffset, long count)
    {
        if (byteOffset < 0 || count < 0 || count > ByteLength - byteOffset)
        {
            throw new ArgumentOutOfRangeException(nameof(byteOffset), byteOffset, $"{count} bytes from here leave a block of {ByteLength}.");
        }
    }
}
