using System.ComponentModel;
using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>
/// A larger stack for the signal handlers of one thread of Linux, until disposal on the same thread. The one that .NET gives is too
/// small for the registers of AMX: its handler of a null reference would overflow it, and the process would end.
/// </summary>
internal sealed unsafe partial class AlternateSignalStack : IDisposable
{
    /// <summary>Bytes of the stack; a page below it is never mapped, so that an overflow is caught.</summary>
    public const int Size = 256 << 10;

    private const int ReadWrite = 3;
    private const int PrivateAnonymous = 0x22;
    private readonly byte* _pages;
    private readonly SignalStack _previous;

    /// <summary>Enlarges the stack of the calling thread.</summary>
    /// <exception cref="Win32Exception">The system has no memory for it.</exception>
    public AlternateSignalStack()
    {
        _pages = (byte*)MMap(0, (nuint)Length, 0, PrivateAnonymous, -1, 0);
        if ((nint)_pages == -1)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        byte* stack = _pages + Environment.SystemPageSize;
        SignalStack enlarged = new() { Pointer = stack, Size = Size };
        SignalStack previous;
        if (MProtect((nint)stack, Size, ReadWrite) != 0 || SigAltStack(&enlarged, &previous) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            MUnmap((nint)_pages, (nuint)Length);
            throw new Win32Exception(error);
        }

        _previous = previous;
    }

    /// <summary>Bytes of the calling thread's stack for signal handlers.</summary>
    public static long CurrentSize
    {
        get
        {
            SignalStack current;
            return SigAltStack(null, &current) == 0 ? (long)current.Size : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    private static int Length => Size + Environment.SystemPageSize;

    /// <summary>Gives the thread its former stack back, which .NET frees when the thread ends.</summary>
    public void Dispose()
    {
        SignalStack previous = _previous;
        if (SigAltStack(&previous, null) == 0)
        {
            MUnmap((nint)_pages, (nuint)Length);
        }
    }

    [LibraryImport("libc", EntryPoint = "sigaltstack", SetLastError = true)]
    private static partial int SigAltStack(SignalStack* stack, SignalStack* previous);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MMap(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int MProtect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int MUnmap(nint address, nuint length);

    /// <summary>stack_t of Linux.</summary>
    private struct SignalStack
    {
        public byte* Pointer;
        public int Flags;
        public nuint Size;
    }
}
