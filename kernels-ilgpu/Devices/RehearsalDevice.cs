namespace PureQLora.Kernels;

/// <summary>A device without memory and without processors: it counts what it would give out, and launches and copies do nothing.</summary>
/// <param name="device">The device whose part it plays.</param>
internal sealed class RehearsalDevice(Device device) : Device
{
    /// <inheritdoc/>
    public override string Name => device.Name;

    /// <inheritdoc/>
    public override long MemoryTotal { get; } = device.MemoryTotal;

    /// <inheritdoc/>
    public override long MemoryFree { get; } = device.MemoryFree;

    /// <inheritdoc/>
    public override int Multiprocessors { get; } = device.Multiprocessors;

    /// <inheritdoc/>
    public override bool Computes => false;

    /// <inheritdoc/>
    public override DeviceMemory Allocate(long byteLength) => new RehearsalMemory(this, byteLength);

    /// <inheritdoc/>
    public override PinnedMemory AllocatePinned(int byteLength) => new RehearsalPinnedMemory(byteLength);

    /// <inheritdoc/>
    public override void Launch<TArguments>(Kernel<TArguments> kernel, LaunchShape shape, TArguments arguments)
    {
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
    }
}
