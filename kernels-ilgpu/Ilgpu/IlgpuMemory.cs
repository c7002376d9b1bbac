using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace PureQLora.Kernels;

/// <summary>A block of memory of an ILGPU accelerator.</summary>
internal sealed class IlgpuMemory : DeviceMemory
{
    private readonly IlgpuDevice _device;
    private readonly AcceleratorStream _stream;
    private readonly MemoryBuffer1D<byte, Stride1D.Dense> _buffer;

    /// <remarks>An empty block still has 16 bytes: ILGPU has no views on nothing.</remarks>
    public IlgpuMemory(IlgpuDevice device, AcceleratorStream stream, MemoryBuffer1D<byte, Stride1D.Dense> buffer, long byteLength)
        : base(device, byteLength) => (_device, _stream, _buffer) = (device, stream, buffer);

    public override ArrayView<T> View<T>(long byteOffset, long count)
    {
        CheckView<T>(byteOffset, count);
        return count == 0 ? Bytes(0, 16).Cast<T>() : Bytes(byteOffset, count * Unsafe.SizeOf<T>()).Cast<T>();
    }

    public override void Read(long byteOffset, Span<byte> destination)
    {
        CheckRange(byteOffset, destination.Length);
        CountWait();
        if (!destination.IsEmpty)
        {
            try
            {
                Bytes(byteOffset, destination.Length).CopyToCPU(_stream, ref MemoryMarshal.GetReference(destination), destination.Length);
            }
            catch (AcceleratorException exception)
            {
                throw _device.Failure(exception);
            }
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
            try
            {
                Bytes(byteOffset, count).CopyFromCPUUnsafeAsync(_stream, ref source.Bytes.Slice(sourceOffset, count)[0], count);
            }
            catch (AcceleratorException exception)
            {
                throw _device.Failure(exception);
            }
        }
    }

    public override void CopyToAsync(long byteOffset, PinnedMemory destination, int destinationOffset, int count)
    {
        CheckRange(byteOffset, count);
        if (count > 0)
        {
            try
            {
                Bytes(byteOffset, count).CopyToCPUUnsafeAsync(_stream, ref destination.Bytes.Slice(destinationOffset, count)[0], count);
            }
            catch (AcceleratorException exception)
            {
                throw _device.Failure(exception);
            }
        }
    }

    public override void CopyFromAsync(long byteOffset, DeviceMemory source, long sourceOffset, long count)
    {
        CheckCopy(byteOffset, source, sourceOffset, count);
        if (count > 0)
        {
            try
            {
                Bytes(byteOffset, count).CopyFrom(_stream, ((IlgpuMemory)source).Bytes(sourceOffset, count));
            }
            catch (AcceleratorException exception)
            {
                throw _device.Failure(exception);
            }
        }
    }

    public override void ZeroAsync(long byteOffset, long count)
    {
        CheckRange(byteOffset, count);
        if (count > 0)
        {
            try
            {
                Bytes(byteOffset, count).MemSetToZero(_stream);
            }
            catch (AcceleratorException exception)
            {
                throw _device.Failure(exception);
            }
        }
    }

    /// <remarks>A device that is lost refuses this too; what lost it has been told already.</remarks>
    protected override void Release()
    {
        try
        {
            _buffer.Dispose();
        }
        catch (AcceleratorException)
        {
        }
    }

    private ArrayView<byte> Bytes(long byteOffset, long count) => ((ArrayView<byte>)_buffer.View).SubView(byteOffset, count);
}
