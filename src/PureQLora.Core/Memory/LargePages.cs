using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>
/// Memory on large pages where the system has them: kernels walk through rows that lie a page and more apart, and every page of
/// 4 KiB costs a look-up in the page tables.
/// </summary>
public static unsafe partial class LargePages
{
    private const int Size = 2 << 20;
    private const int AdviceHugePage = 14;      // MADV_HUGEPAGE

    /// <summary>Allocates a block that starts on a cache line, or on a large page if it is long enough to gain from that.</summary>
    /// <param name="bytes">Length.</param>
    /// <returns>To be freed by <see cref="NativeMemory.AlignedFree"/>; contents undefined.</returns>
    internal static byte* Allocate(nuint bytes)
    {
        if (bytes < Size || !OperatingSystem.IsLinux())
        {
            return (byte*)NativeMemory.AlignedAlloc(bytes, CpuStorage.Alignment);
        }

        // A rest of a large page is one more of them, unless it costs more than an eighth of the block.
        nuint whole = (bytes + Size - 1) & ~(nuint)(Size - 1);
        nuint length = (whole - bytes) * 8 <= bytes ? whole : bytes & ~(nuint)(Size - 1);
        byte* block = (byte*)NativeMemory.AlignedAlloc(Math.Max(length, bytes), Size);

        // Only advice: where it is refused, small pages do.
        _ = Advise(block, length, AdviceHugePage);
        return block;
    }

    /// <summary>Allocates an array that the collector never moves, on large pages as far as it covers some.</summary>
    /// <typeparam name="T">Numbers.</typeparam>
    /// <param name="length">Elements.</param>
    /// <returns>Contents undefined.</returns>
    public static T[] AllocateArray<T>(int length)
        where T : unmanaged
    {
        T[] array = GC.AllocateUninitializedArray<T>(length, pinned: true);
        nuint bytes = (nuint)length * (nuint)sizeof(T);
        if (bytes >= 2 * Size && OperatingSystem.IsLinux())
        {
            nuint first = (nuint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(array));
            nuint start = (first + Size - 1) & ~(nuint)(Size - 1);
            _ = Advise((byte*)start, (first + bytes - start) & ~(nuint)(Size - 1), AdviceHugePage);
        }

        return array;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(byte* address, nuint length, int advice);
}
