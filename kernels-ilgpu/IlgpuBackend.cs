using System.Runtime.InteropServices;
using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>
/// The operations of the engine on a device: checks tensors, chooses kernels and launches them. A launch returns before it is done; reading a
/// tensor waits.
/// </summary>
/// <remarks>One thread at a time. A tensor has fewer than 2^31 elements: kernels count in 32 bits.</remarks>
public sealed partial class IlgpuBackend : IBackend
{
    private readonly Device _device;
    private DeviceMemory _workspace;

    /// <summary>A backend on a device, which it takes over and disposes.</summary>
    /// <param name="device">Where everything runs.</param>
    public IlgpuBackend(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
        _workspace = device.Allocate(1 << 16);
    }

    /// <inheritdoc/>
    public string Name => "cuda";

    /// <inheritdoc/>
    public string Description => $"cuda, {_device.Name}";

    /// <inheritdoc/>
    public Precision PreferredPrecision => Precision.BFloat16;

    /// <inheritdoc/>
    public Storage Allocate(long byteLength) => _device.Allocate(byteLength);

    /// <inheritdoc/>
    public bool Reaches(Storage storage) => storage is DeviceMemory;

    /// <summary>Releases the device.</summary>
    public void Dispose()
    {
        _workspace.Dispose();
        _device.Dispose();
    }

    private static ArrayView<float> Floats(Tensor tensor) => View<float>(tensor, DataType.Float32);

    private static ArrayView<int> Ints(Tensor tensor) => View<int>(tensor, DataType.Int32);

    /// <summary>Numbers of any floating type.</summary>
    private FloatingView Floating(Tensor tensor)
    {
        if (!tensor.DataType.IsFloating())
        {
            throw new ArgumentException($"This operation needs floating numbers, the tensor is {tensor}.", nameof(tensor));
        }

        return tensor.DataType == DataType.Float32
            ? new FloatingView(Floats(tensor), _workspace.View<ushort>(0, 1), (int)DataType.Float32)
            : new FloatingView(_workspace.View<float>(0, 1), View<ushort>(tensor, tensor.DataType), (int)tensor.DataType);
    }

    private static ArrayView<T> View<T>(Tensor tensor, DataType expected)
        where T : unmanaged
    {
        if (tensor.DataType != expected)
        {
            throw new ArgumentException($"This operation needs {expected}, the tensor is {tensor}; cast it first.", nameof(tensor));
        }

        return Memory(tensor).View<T>(tensor.ByteOffset, tensor.Shape.Count);
    }

    private static DeviceMemory Memory(Tensor tensor) => tensor.Storage as DeviceMemory
        ?? throw new ArgumentException($"{tensor} is in host memory; copy it to the device first.", nameof(tensor));

    /// <summary>
    /// Integers of the device, on the host: a kernel cannot throw, and an index out of range would read elsewhere. It waits for the device
    /// unless they came from the host in this pass.
    /// </summary>
    private static ReadOnlySpan<int> ReadInts(Tensor tensor)
    {
        if (!tensor.HostInts.IsEmpty)
        {
            return tensor.HostInts.Span;
        }

        int[] values = new int[Count(tensor)];
        Memory(tensor).Read(tensor.ByteOffset, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    /// <summary>Elements, as kernels count them.</summary>
    private static int Count(Tensor tensor) => tensor.Shape.Count <= int.MaxValue
        ? (int)tensor.Shape.Count
        : throw new ArgumentException($"{tensor} has {tensor.Shape.Count} elements, a GPU kernel takes at most {int.MaxValue}; make the batch smaller.", nameof(tensor));

    /// <summary>The mode and view of a gradient; any view of the right type stands in for one that is not wanted.</summary>
    private static (int Mode, ArrayView<float> View) Target(GradientTarget target, ArrayView<float> standIn) => target.Tensor is null
        ? (TargetMode.None, standIn)
        : (target.Accumulate ? TargetMode.Add : TargetMode.Write, Floats(target.Tensor));

    /// <summary>
    /// Memory for the length of one operation. Launches run in order, so the next operation may use it again; it grows to what was needed most.
    /// </summary>
    private DeviceMemory Workspace(long byteLength)
    {
        if (_workspace.ByteLength < byteLength)
        {
            _device.Synchronize();
            _workspace.Dispose();
            _workspace = _device.Allocate(byteLength);
        }

        return _workspace;
    }
}
