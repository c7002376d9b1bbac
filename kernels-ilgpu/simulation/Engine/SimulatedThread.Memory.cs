using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using ILGPU;
using PureQLora.Kernels.Simulation.Memory;

namespace PureQLora.Kernels.Simulation.Engine;

/// <content>How a thread reaches memory.</content>
internal sealed partial class SimulatedThread
{
    /// <summary>The asynchronous copies of the thread.</summary>
    public PendingCopies Copies { get; } = new();

    /// <summary>Reads an element; zero where there is none.</summary>
    public T Read<T>(in ArrayView<T> view, long index, string file, int line)
        where T : unmanaged
    {
        int site = Site(file, line);
        if (!Locate(view, index, AccessKind.Read, site, out MemoryRegion? region, out long offset))
        {
            return default;
        }

        Touch<T>(region, offset, AccessKind.Read, site);
        return region.Load<T>(offset);
    }

    /// <summary>Writes an element; nothing happens where there is none.</summary>
    public void Write<T>(in ArrayView<T> view, long index, T value, string file, int line)
        where T : unmanaged
    {
        int site = Site(file, line);
        if (Locate(view, index, AccessKind.Write, site, out MemoryRegion? region, out long offset))
        {
            Touch<T>(region, offset, AccessKind.Write, site);
            region.Store(offset, value);
        }
    }

    /// <summary>Changes an element atomically; its old value.</summary>
    public T Update<T, TOperand>(in ArrayView<T> view, long index, TOperand operand, Func<T, TOperand, T> change, string file, int line)
        where T : unmanaged
    {
        if (Unsafe.SizeOf<T>() is not (4 or 8))
        {
            throw new NotSupportedException($"Atomic operations work on 4 or 8 bytes; {typeof(T).Name} has {Unsafe.SizeOf<T>()}.");
        }

        int site = Site(file, line);
        if (!Locate(view, index, AccessKind.Atomic, site, out MemoryRegion? region, out long offset))
        {
            return default;
        }

        Touch<T>(region, offset, AccessKind.Atomic, site);
        T old = region.Load<T>(offset);
        region.Store(offset, change(old, operand));
        return old;
    }

    /// <summary>Starts an asynchronous copy of an element, or of zeros.</summary>
    public void IssueCopy<T>(in ArrayView<T> destination, int destinationIndex, in ArrayView<T> source, int sourceIndex, bool copy, string file, int line)
        where T : unmanaged
    {
        if (Unsafe.SizeOf<T>() is not (4 or 8 or 16))
        {
            throw new NotSupportedException($"Asynchronous copies have 4, 8 or 16 bytes; {typeof(T).Name} has {Unsafe.SizeOf<T>()}.");
        }

        int site = Site(file, line);
        T value = copy ? Read(source, sourceIndex, file, line) : default;
        if (!Locate(destination, destinationIndex, AccessKind.PendingCopy, site, out MemoryRegion? region, out long offset))
        {
            return;
        }

        if (region.Space != MemorySpace.Shared)
        {
            throw new InvalidOperationException($"An asynchronous copy writes shared memory, not {region.Name}.");
        }

        Touch<T>(region, offset, AccessKind.PendingCopy, site);
        Copies.Add(new PendingCopy(region, offset, Unsafe.SizeOf<T>(), PendingCopy.Pack(value), site));
    }

    /// <summary>Waits until at most so many groups of copies are under way.</summary>
    public void WaitForCopies(int pendingGroups)
    {
        while (Copies.TryTake(pendingGroups, out PendingCopy copy))
        {
            Report(copy.Region, copy.Offset, copy.Size, AccessKind.Write, copy.Site, copy.Region.Touch(copy.Offset, copy.Size, AccessKind.Write, Accessor(copy.Region, copy.Site)));
            copy.Complete();
        }
    }

    /// <summary>The thread's next array of shared memory.</summary>
    public ArrayView<T> AllocateShared<T>(int extent, string file, int line)
        where T : unmanaged => Group.Shared.Allocate<T>(_sharedAllocations++, extent, Site(file, line));

    /// <summary>A new array of the thread's own.</summary>
    public ArrayView<T> AllocateLocal<T>(int extent, string file, int line)
        where T : unmanaged
    {
        string name = $"local {typeof(T).Name}[{extent}] of {Group.Launch.Sites.Describe(Site(file, line))}";
        MemoryRegion region = new(name, MemorySpace.Local, (long)extent * Unsafe.SizeOf<T>(), isInitialised: false);
        _locals.Add(region);
        return new ArrayView<T>(region, 0, extent);
    }

    /// <summary>The largest power of two that divides the size: what one load or store of so many bytes must be aligned to.</summary>
    private static int Alignment<T>() => Math.Min(16, Unsafe.SizeOf<T>() & -Unsafe.SizeOf<T>());

    private bool Locate<T>(in ArrayView<T> view, long index, AccessKind kind, int site, [NotNullWhen(true)] out MemoryRegion? region, out long offset)
        where T : unmanaged
    {
        region = view.Region;
        offset = view.ByteOffset + (index * Unsafe.SizeOf<T>());
        if (region is null)
        {
            ReportBounds(null, $"{Verb(kind)} element {index} through a view of no memory, or of memory that was given back", site);
            return false;
        }

        if ((ulong)index >= (ulong)view.Length)
        {
            ReportBounds(region, $"{Verb(kind)} element {index} of a view of {view.Length} {typeof(T).Name} from byte {view.ByteOffset}", site);
            return false;
        }

        if (offset % Alignment<T>() != 0)
        {
            ReportMisaligned(region, offset, Alignment<T>(), $"{Verb(kind)} {Unsafe.SizeOf<T>()} bytes ({typeof(T).Name})", site);
        }

        return true;
    }

    private void Touch<T>(MemoryRegion region, long offset, AccessKind kind, int site)
        where T : unmanaged
    {
        int size = Unsafe.SizeOf<T>();
        Finding finding = region.Touch(offset, size, kind, Accessor(region, site));
        if (finding.IsFault)
        {
            Report(region, offset, size, kind, site, finding);
        }

        if (region.Space == MemorySpace.Local)
        {
            return;
        }

        if (kind == AccessKind.Atomic)
        {
            Group.Launch.Counters.CountAtomic(region.Space);
        }
        else
        {
            Warp.Log.Add(Lane, new(site, region, kind != AccessKind.Read, size), (int)offset);
        }
    }

    /// <remarks>Shared memory is the group's own: what an earlier group did to the block is no concern of this one.</remarks>
    private Accessor Accessor(MemoryRegion region, int site) => new(
        region.Space == MemorySpace.Global ? Group.Launch.FirstSerial : Group.Serial, Group.Serial, Group.Epoch, Warp.Epoch, LinearIndex, site);
}
