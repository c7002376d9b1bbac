using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IDeviceBackend
{
    /// <inheritdoc/>
    public long MemoryFree => _device.MemoryFree;

    /// <inheritdoc/>
    public long MemoryUsed => _device.MemoryUsed;

    /// <inheritdoc/>
    public long MemoryPeak => _device.MemoryPeak;

    /// <inheritdoc/>
    public void Load(QuantizedMatrix weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        _ = DeviceWeight(weight);
    }

    /// <inheritdoc/>
    public void Release(QuantizedMatrix weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        if (_weights.TryGetValue(weight, out DeviceQuantizedMatrix? packed))
        {
            _device.Synchronize();
            _weights.Remove(weight);
            packed.Dispose();
        }
    }

    /// <inheritdoc/>
    public IDeviceBackend Rehearse() => new IlgpuBackend(new RehearsalDevice(_device));
}
