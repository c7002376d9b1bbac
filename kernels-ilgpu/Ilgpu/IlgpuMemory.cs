using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>A block of memory of an ILGPU accelerator.</summary>
internal sealed class IlgpuMemory : DeviceMemory
{
    private readonly IlgpuDevice _device;
    private readonly AcceleratorStream _stream;
    private readonly MemoryBuffer1D<byte, Stride1D.Dense> _buffer;

    /// <remarks>An empty block still has 16 bytes: ILGPU has no views on nothing.</remarks>
    public IlgpuMemory(IlgpuDevice device, Accelerator accelerator, AcceleratorStream stream, long byteLength)
        : base(byteLength)
    {
        (_device, _stream) = (device, stream);
        _buffer = accelerator.Allocate1D<byte>(Math.Max(16, byteLength));
    }

    public override ArrayView<T> View<T>(long byteOffset, long count)
    {
        CheckView<T>(byteOffset, count);
        return count == 0 ? Bytes(0, 16).Cast<T>() : Bytes(byteOffset, count * Unsafe.SizeOf<T>()).Cast<T>();
    }

    public override void Read(long byteOffset, Span<byte> destination)
    {
        CheckRange(byteOffset, destination.Length);
        if (!destination.IsEmpty)
        {
            Bytes(byteOffset, destination.Length).CopyToCPU(_stream, ref MemoryMarshal.GetReference(destination), destination.Length);
        }
    }

    public override void Write(long byteOffset, ReadOnlySpan<byte> source)
    {
        CheckRange(byteOffset, source.Length);
        _device.Upload(this, byteOffset, source);
    }

    public override void CopyFromAsync(long byteOffset, PinnedMemory source, int sourceOffset, int count)
    {
        CheckRange(byteOffset, count);
        if (count > 0)
        {
            Bytes(byteOffset, count).CopyFromCPUUnsafeAsync(_stream, ref source.Bytes.Slice(sourceOffset, count)[0], count);
        }
    }

    public override void CopyToAsync(long byteOffset, PinnedMemory destination, int destinationOffset, int count)
    {
        CheckRange(byteOffset, count);
        if (count > 0)
        {
            Bytes(byteOffset, count).CopyToCPUUnsafeAsync(_stream, ref destination.Bytes.Slice(destinationOffset, count)[0], count);
        }
    }

    public override void CopyFromAsync(long byteOffset, DeviceMemory source, long sourceOffset, long count)
    {
        CheckCopy(byteOffset, source, sourceOffset, count);
        if (count > 0)
        {
            Bytes(byteOffset, count).CopyFrom(_stream, ((IlgpuMemory)source).Bytes(sourceOffset, count));
        }
    }

    public override void ZeroAsync(long byteOffset, long count)
    {
        CheckRange(byteOffset, count);
        if (count > 0)
        {
            Bytes(byteOffset, count).MemSetToZero(_stream);
        }
    }

    public override Storage AllocateZeros(long byteLength)
    {
        IlgpuMemory memory = new(_device, _buffer.Accelerator, _stream, byteLength);
        memory.ZeroAsync(0, byteLength);
        return memory;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _buffer.Dispose();
        }
    }

    private ArrayView<byte> Bytes(long byteOffset, long count) => ((ArrayView<byte>)_buffer.View).SubView(byteOffset, count);
}
