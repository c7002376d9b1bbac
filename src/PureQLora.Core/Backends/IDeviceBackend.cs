namespace PureQLora.Core;

/// <summary>
/// A backend whose memory is its own and limited, as a GPU's is: models are moved there, and what shall run there can be tried for its
/// memory first.
/// </summary>
public interface IDeviceBackend : IBackend, IDisposable
{
    /// <summary>Bytes of its memory that nobody holds, other programs counted.</summary>
    long MemoryFree { get; }

    /// <summary>Bytes that this backend holds.</summary>
    long MemoryUsed { get; }

    /// <summary>The most that <see cref="MemoryUsed"/> has been.</summary>
    long MemoryPeak { get; }

    /// <summary>Packs a quantised weight into the device's memory as its kernels read it; one that is there already stays.</summary>
    /// <param name="weight">Not read again.</param>
    /// <exception cref="DeviceFailedException">There is no room.</exception>
    void Load(QuantizedMatrix weight);

    /// <summary>Gives back the memory of a quantised weight; nothing happens where it is not loaded.</summary>
    void Release(QuantizedMatrix weight);

    /// <summary>
    /// A backend of the same kind that takes account of memory, and neither has any nor computes: code that runs on it takes there what it
    /// will take here, in the time of its calls. Whatever is read from it is 0. The caller disposes it.
    /// </summary>
    IDeviceBackend Rehearse();
}
