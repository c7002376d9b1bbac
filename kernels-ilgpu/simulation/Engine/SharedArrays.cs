using System.Runtime.CompilerServices;
using ILGPU;
using PureQLora.Kernels.Simulation.Memory;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>The shared memory of a group. The blocks are used again by the launch's next group, which finds them unwritten.</summary>
internal sealed class SharedArrays(Launch launch)
{
    /// <summary>What a kernel can have without asking for dynamic memory.</summary>
    private const int StaticLimit = 48 * 1024;

    private readonly List<MemoryRegion> _blocks = [];
    private MemoryRegion? _dynamic;

    /// <summary>Bytes, dynamic ones included.</summary>
    public long ByteLength => _blocks.Sum(block => block.ByteLength) + launch.Config.SharedMemoryConfig.ArraySize;

    /// <summary>The array that a thread's n-th allocation gives.</summary>
    /// <exception cref="InvalidOperationException">The threads of the group ask for different arrays, or for too much.</exception>
    public ArrayView<T> Allocate<T>(int ordinal, int extent, int site)
        where T : unmanaged
    {
        long byteLength = (long)extent * Unsafe.SizeOf<T>();
        if (ordinal == _blocks.Count)
        {
            string name = $"shared {typeof(T).Name}[{extent}] of {launch.Sites.Describe(site)}";
            _blocks.Add(new MemoryRegion(name, MemorySpace.Shared, byteLength, isInitialised: false));
            long total = _blocks.Sum(other => other.ByteLength);
            if (total > StaticLimit)
            {
                throw new InvalidOperationException(
                    $"The arrays of {total} bytes exceed the {StaticLimit} bytes of static shared memory; take dynamic shared memory.");
            }
        }

        MemoryRegion block = _blocks[ordinal];
        if (block.ByteLength != byteLength)
        {
            throw new InvalidOperationException(
                $"Threads disagree on their allocation number {ordinal + 1} of shared memory: {block.ByteLength} and {byteLength} bytes.");
        }

        return new ArrayView<T>(block, 0, extent);
    }

    /// <summary>All dynamic shared memory.</summary>
    public ArrayView<T> Dynamic<T>()
        where T : unmanaged
    {
        int byteLength = launch.Config.SharedMemoryConfig.ArraySize;
        _dynamic ??= new MemoryRegion("dynamic shared memory", MemorySpace.Shared, byteLength, isInitialised: false);
        return new ArrayView<T>(_dynamic, 0, byteLength / Unsafe.SizeOf<T>());
    }

    /// <summary>Gives all memory back.</summary>
    public void Free()
    {
        _dynamic?.Free();
        _blocks.ForEach(block => block.Free());
    }
}
