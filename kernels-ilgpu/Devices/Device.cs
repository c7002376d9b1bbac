namespace PureQLora.Kernels;

/// <summary>
/// A machine that runs kernels in the order in which they are launched. What is launched or copied asynchronously is done when
/// <see cref="Synchronize"/> returns.
/// </summary>
public abstract class Device : IDisposable
{
    /// <summary>The device in words, for messages and results.</summary>
    public abstract string Name { get; }

    /// <summary>Bytes of its memory.</summary>
    public abstract long MemoryTotal { get; }

    /// <summary>Bytes of its memory that nobody holds.</summary>
    public abstract long MemoryFree { get; }

    /// <summary>Multiprocessors: how many groups can run at once, at least.</summary>
    public abstract int Multiprocessors { get; }

    /// <summary>A block of device memory; contents undefined. The caller disposes it.</summary>
    /// <param name="byteLength">Not negative.</param>
    public abstract DeviceMemory Allocate(long byteLength);

    /// <summary>Host memory that the device reads and writes by itself, so that copies run beside the kernels. The caller disposes it.</summary>
    /// <param name="byteLength">At least 1.</param>
    public abstract PinnedMemory AllocatePinned(int byteLength);

    /// <summary>Starts a kernel and returns; nothing is allocated once it has been compiled.</summary>
    /// <typeparam name="TArguments">The kernel's arguments.</typeparam>
    /// <param name="kernel">Compiled at its first launch.</param>
    /// <param name="shape">Groups.</param>
    /// <param name="arguments">Copied.</param>
    public abstract void Launch<TArguments>(Kernel<TArguments> kernel, LaunchShape shape, TArguments arguments)
        where TArguments : struct;

    /// <summary>Waits until everything launched and copied is done.</summary>
    public abstract void Synchronize();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases the device.</summary>
    /// <param name="disposing">True from <see cref="Dispose()"/>.</param>
    protected abstract void Dispose(bool disposing);
}
