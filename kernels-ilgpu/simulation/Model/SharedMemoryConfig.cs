using System.Runtime.CompilerServices;

namespace ILGPU;

/// <summary>Dynamic shared memory of a group.</summary>
/// <param name="NumElements">Elements.</param>
/// <param name="ElementSize">Bytes of an element.</param>
public readonly record struct SharedMemoryConfig(int NumElements, int ElementSize)
{
    /// <summary>Bytes.</summary>
    public int ArraySize => NumElements * ElementSize;

    /// <summary>Whether there is any.</summary>
    public bool UsesDynamicSharedMemory => ArraySize > 0;

    /// <summary>Asks for memory.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="numElements">Elements.</param>
    public static SharedMemoryConfig RequestDynamic<T>(int numElements)
        where T : unmanaged => new(numElements, Unsafe.SizeOf<T>());
}
