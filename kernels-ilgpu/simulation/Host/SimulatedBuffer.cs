using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using PureQLora.Kernels.Simulation.Memory;

namespace PureQLora.Kernels.Simulation;

/// <summary>Memory of a simulated device. Disposing it makes its views invalid.</summary>
/// <typeparam name="T">Element type.</typeparam>
public sealed class SimulatedBuffer<T> : IDisposable
    where T : unmanaged
{
    private readonly MemoryRegion _region;

    internal SimulatedBuffer(string name, long length, bool isInitialised)
    {
        Length = length;
        _region = new MemoryRegion(name, MemorySpace.Global, checked(length * Unsafe.SizeOf<T>()), isInitialised);
        View = new ArrayView<T>(_region, 0, length);
    }

    /// <summary>Name in messages.</summary>
    public string Name => _region.Name;

    /// <summary>Elements.</summary>
    public long Length { get; }

    /// <summary>All elements, as kernels see them.</summary>
    public ArrayView<T> View { get; }

    /// <summary>Writes elements.</summary>
    /// <param name="source">The values.</param>
    /// <param name="offset">First element to write.</param>
    public void CopyFrom(ReadOnlySpan<T> source, long offset = 0)
    {
        MemoryMarshal.AsBytes(source).CopyTo(Bytes(offset, source.Length));
        SetWritten(offset, source.Length, isWritten: true);
    }

    /// <summary>Writes elements of another buffer; the stretches may overlap.</summary>
    /// <param name="source">The other buffer, or this one.</param>
    /// <param name="sourceOffset">First element to read.</param>
    /// <param name="offset">First element to write.</param>
    /// <param name="count">Elements.</param>
    public void CopyFrom(SimulatedBuffer<T> source, long sourceOffset, long offset, long count)
    {
        ArgumentNullException.ThrowIfNull(source);
        source.Bytes(sourceOffset, count).CopyTo(Bytes(offset, count));
        SetWritten(offset, count, isWritten: true);
    }

    /// <summary>Reads elements.</summary>
    /// <param name="destination">Where they go.</param>
    /// <param name="offset">First element to read.</param>
    public void CopyTo(Span<T> destination, long offset = 0) => Bytes(offset, destination.Length).CopyTo(MemoryMarshal.AsBytes(destination));

    /// <summary>Sets elements to zero.</summary>
    /// <param name="offset">First element.</param>
    /// <param name="count">Elements.</param>
    public void Clear(long offset, long count)
    {
        Bytes(offset, count).Clear();
        SetWritten(offset, count, isWritten: true);
    }

    /// <summary>Declares elements never written, as when an arena hands them out again: reading them is then a fault.</summary>
    /// <param name="offset">First element.</param>
    /// <param name="count">Elements.</param>
    public void Forget(long offset, long count) => SetWritten(offset, count, isWritten: false);

    /// <summary>All elements.</summary>
    public T[] ToArray()
    {
        T[] result = new T[Length];
        CopyTo(result);
        return result;
    }

    /// <inheritdoc/>
    public void Dispose() => _region.Free();

    private Span<byte> Bytes(long offset, long count)
    {
        if (offset < 0 || count < 0 || offset > Length - count)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{count} elements from here leave {Name}, which has {Length}.");
        }

        return _region.Bytes(offset * Unsafe.SizeOf<T>(), count * Unsafe.SizeOf<T>());
    }

    private void SetWritten(long offset, long count, bool isWritten) =>
        _region.SetWritten(offset * Unsafe.SizeOf<T>(), count * Unsafe.SizeOf<T>(), isWritten);
}
