using ILGPU;
using PureQLora.Kernels.Simulation;

namespace PureQLora.Kernels;

/// <summary>The simulation as a device: kernels run at their launch, and a faulty one throws with a list of its faults.</summary>
/// <param name="memory">Bytes that it has; null for what the machine has.</param>
public sealed class SimulatedDevice(long? memory = null) : Device
{
    private readonly SimulatedAccelerator _accelerator = new();

    /// <inheritdoc/>
    public override string Name => "simulation";

    /// <inheritdoc/>
    public override long MemoryTotal => memory ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <inheritdoc/>
    public override long MemoryFree => MemoryTotal - (memory is null ? GC.GetGCMemoryInfo().MemoryLoadBytes : MemoryUsed);

    /// <inheritdoc/>
    public override int Multiprocessors => 1;

    /// <summary>What the last launch did to memory.</summary>
    public LaunchReport? LastReport => _accelerator.LastReport;

    /// <inheritdoc/>
    public override DeviceMemory Allocate(long byteLength) => memory is { } limit && MemoryUsed + Taken(byteLength) > limit
        ? throw OutOfMemory(byteLength)
        : new SimulatedMemory(this, _accelerator, byteLength);

    /// <inheritdoc/>
    public override PinnedMemory AllocatePinned(int byteLength) => new SimulatedPinnedMemory(byteLength);

    /// <inheritdoc/>
    /// <exception cref="KernelFaultException">The kernel is faulty.</exception>
    public override void Launch<TArguments>(Kernel<TArguments> kernel, LaunchShape shape, TArguments arguments)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        KernelConfig config = new(new Index3D(shape.GroupsX, shape.GroupsY, 1), new Index3D(kernel.GroupSize, 1, 1));
        _accelerator.Launch(kernel.Body, config, arguments);
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _accelerator.Dispose();
        }
    }
}
