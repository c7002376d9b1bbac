namespace PureQLora.Kernels.Tests;

/// <summary>A simulated GPU that counts launches.</summary>
internal sealed class CountingDevice : Device
{
    private readonly SimulatedDevice _device = new();

    /// <summary>So far.</summary>
    public int Launches { get; private set; }

    public override string Name => _device.Name;

    public override long MemoryTotal => _device.MemoryTotal;

    public override long MemoryFree => _device.MemoryFree;

    public override int Multiprocessors => _device.Multiprocessors;

    public override DeviceMemory Allocate(long byteLength) => _device.Allocate(byteLength);

    public override PinnedMemory AllocatePinned(int byteLength) => _device.AllocatePinned(byteLength);

    public override void Launch<TArguments>(Kernel<TArguments> kernel, LaunchShape shape, TArguments arguments)
    {
        Launches++;
        _device.Launch(kernel, shape, arguments);
    }

    public override void Synchronize() => _device.Synchronize();

    protected override void Dispose(bool disposing) => _device.Dispose();
}
