using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>A simulated GPU that is lost after some launches, as one is that falls off the bus.</summary>
internal sealed class FailingDevice(int launches) : Device
{
    private readonly SimulatedDevice _device = new();
    private int _left = launches;

    public override string Name => _device.Name;

    public override long MemoryTotal => _device.MemoryTotal;

    public override long MemoryFree => _device.MemoryFree;

    public override int Multiprocessors => _device.Multiprocessors;

    public override DeviceMemory Allocate(long byteLength) => _device.Allocate(byteLength);

    public override PinnedMemory AllocatePinned(int byteLength) => _device.AllocatePinned(byteLength);

    public override void Launch<TArguments>(Kernel<TArguments> kernel, LaunchShape shape, TArguments arguments)
    {
        if (--_left < 0)
        {
            throw new DeviceFailedException($"{Name} does not answer any more (planted).");
        }

        _device.Launch(kernel, shape, arguments);
    }

    public override void Synchronize() => _device.Synchronize();

    protected override void Dispose(bool disposing) => _device.Dispose();
}
