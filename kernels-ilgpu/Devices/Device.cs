using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>
/// A machine that runs kernels in the order in which they are launched. What is launched or copied asynchronously is done when
/// <see cref="Synchronize"/> returns.
/// </summary>
public abstract class Device : IDisposable
{
    /// <summary>What a driver rounds small blocks up to, in bytes.</summary>
    private const long Granularity = 512;

    /// <summary>Bytes of the blocks that are out, rounded up as drivers do.</summary>
    public long MemoryUsed { get; private set; }

    /// <summary>The most that <see cref="MemoryUsed"/> has been.</summary>
    public long MemoryPeak { get; private set; }

    /// <summary>How often the host has waited for what it read.</summary>
    public long Waits { get; private set; }

    /// <summary>False where launches and copies do nothing (<see cref="RehearsalDevice"/>), so that nobody need prepare what they would read.</summary>
    public virtual bool Computes => true;

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
    /// <exception cref="DeviceFailedException">There is not so much left.</exception>
    public abstract DeviceMemory Allocate(long byteLength);

    /// <summary>Host memory that the device reads and writes by itself, so that copies run beside the kernels. The caller disposes it.</summary>
    /// <param name="byteLength">At least 1.</param>
    public abstract PinnedMemory AllocatePinned(int byteLength);

    /// <summary>Starts a kernel and returns; nothing is allocated once it has been compiled.</summary>
    /// <typeparam name="TArguments">The kernel's arguments.</typeparam>
    /// <param name="kernel">Compiled at its first launch.</param>
    /// <param name="shape">Groups.</param>
    /// <param name="arguments">Copied.</param>
    /// <exception cref="DeviceFailedException">The device does not answer any more.</exception>
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

    /// <summary>What a block takes of the memory.</summary>
    internal static long Taken(long byteLength) => (Math.Max(byteLength, 1) + Granularity - 1) / Granularity * Granularity;

    /// <summary>Counts a block that was given out.</summary>
    internal void Take(long byteLength)
    {
        MemoryUsed += Taken(byteLength);
        MemoryPeak = Math.Max(MemoryPeak, MemoryUsed);
    }

    /// <summary>Counts a block that came back.</summary>
    internal void GiveBack(long byteLength) => MemoryUsed -= Taken(byteLength);

    /// <summary>Counts a read, which waits for what was launched before.</summary>
    internal void CountWait() => Waits++;

    /// <summary>What to throw where a block cannot be given out.</summary>
    /// <param name="byteLength">What was asked for.</param>
    /// <param name="innerException">The driver's word for it, or null.</param>
    protected DeviceFailedException OutOfMemory(long byteLength, Exception? innerException = null) => new(
        $"{Name} is out of memory: {ByteSize.Text(byteLength)} more were needed beside the {ByteSize.Text(MemoryUsed)} that this program holds. "
        + "Use a smaller batch, shorter samples or a lower rank, or end other programs that use the GPU.",
        innerException);

    /// <summary>Releases the device.</summary>
    /// <param name="disposing">True from <see cref="Dispose()"/>.</param>
    protected abstract void Dispose(bool disposing);
}
