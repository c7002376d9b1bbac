using System.Runtime.CompilerServices;
using ILGPU;
using PureQLora.Kernels.Simulation;

namespace PureQLora.Kernels;

/// <summary>A block of memory of the simulation, which knows which bytes were written.</summary>
internal sealed class SimulatedMemory : DeviceMemory
{
    private readonly SimulatedBuffer<byte> _buffer;

    /// <remarks>An empty block has 16 bytes, as on the other devices.</remarks>
    public SimulatedMemory(SimulatedDevice device, SimulatedAccelerator accelerator, long byteLength)
        : base(device, byteLength) => _buffer = accelerator.Allocate<byte>(Math.Max(16, byteLength));

    public override ArrayView<T> View<T>(long byteOffset, long count)
    {
        CheckView<T>(byteOffset, count);
        return count == 0 ? _buffer.View.SubView(0, 16).Cast<T>() : _buffer.View.SubView(byteOffset, count * Unsafe.SizeOf<T>()).Cast<T>();
    }

    public override void Read(long byteOffset, Span<byte> destination)
    {
        CheckRange(byteOffset, destination.Length);
        CountWait();
        _buffer.CopyTo(destination, byteOffset);
    }

    public override void Write(long byteOffset, ReadOnlySpan<byte> source)
    {
        CheckRange(byteOffset, source.Length);
        _buffer.CopyFrom(source, byteOffset);
    }

    public override void CopyFromAsync(long byteOffset, PinnedMemory source, int sourceOffset, int count)
    {
        ArgumentNullException.ThrowIfNull(source);
        Write(byteOffset, source.Bytes.Slice(sourceOffset, count));
    }

    public override void CopyToAsync(long byteOffset, PinnedMemory destination, int destinationOffset, int count)
    {
        ArgumentNullException.ThrowIfNull(destination);
        Read(byteOffset, destination.Bytes.Slice(destinationOffset, count));
    }

    public override void CopyFromAsync(long byteOffset, DeviceMemory source, long sourceOffset, long count)
    {
        CheckCopy(byteOffset, source, sourceOffset, count);
        _buffer.CopyFrom(((SimulatedMemory)source)._buffer, sourceOffset, byteOffset, count);
    }

    public override void ZeroAsync(long byteOffset, long count)
    {
        CheckRange(byteOffset, count);
        _buffer.Clear(byteOffset, count);
    }

    protected override void Release() => _buffer.Dispose();
}
