using System.ComponentModel;
using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>
/// Pages with machine code: written first, then made executable and never writable again. Freed with the object, so whoever keeps a
/// pointer into it keeps the object.
/// </summary>
internal sealed unsafe partial class ExecutableMemory : SafeHandle
{
    private readonly nuint _length;

    /// <summary>Copies code into pages of its own.</summary>
    /// <param name="code">Position-independent machine code.</param>
    /// <exception cref="Win32Exception">The system gives no executable pages to this process (SELinux, seccomp, hardened kernels).</exception>
    public ExecutableMemory(ReadOnlySpan<byte> code)
        : base(0, ownsHandle: true)
    {
        _length = (nuint)((code.Length + Environment.SystemPageSize - 1) & -Environment.SystemPageSize);
        nint pages = OperatingSystem.IsWindows() ? Windows.VirtualAlloc(0, _length, Windows.Commit, Windows.ReadWrite) : Posix.Map(_length);
        if (pages is 0 or -1)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        SetHandle(pages);
        code.CopyTo(new Span<byte>((void*)pages, code.Length));
        bool executable = OperatingSystem.IsWindows()
            ? Windows.VirtualProtect(pages, _length, Windows.ExecuteRead, out _)
            : Posix.MProtect(pages, _length, Posix.Read | Posix.Execute) == 0;
        if (!executable)
        {
            int error = Marshal.GetLastPInvokeError();
            Dispose();
            throw new Win32Exception(error);
        }
    }

    /// <summary>First instruction.</summary>
    public nint Entry => handle;

    /// <inheritdoc/>
    public override bool IsInvalid => handle is 0 or -1;

    /// <inheritdoc/>
    protected override bool ReleaseHandle() =>
        OperatingSystem.IsWindows() ? Windows.VirtualFree(handle, 0, Windows.Release) : Posix.MUnmap(handle, _length) == 0;

    private static partial class Posix
    {
        public const int Read = 1;
        public const int Execute = 4;
        private const int Write = 2;
        private const int Private = 2;

        public static nint Map(nuint length) => MMap(0, length, Read | Write, Private | (OperatingSystem.IsLinux() ? 0x20 : 0x1000), -1, 0);

        [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
        public static partial int MProtect(nint address, nuint length, int protection);

        [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
        public static partial int MUnmap(nint address, nuint length);

        [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
        private static partial nint MMap(nint address, nuint length, int protection, int flags, int file, long offset);
    }

    private static partial class Windows
    {
        public const uint Commit = 0x3000;       // MEM_COMMIT | MEM_RESERVE
        public const uint Release = 0x8000;
        public const uint ReadWrite = 0x04;
        public const uint ExecuteRead = 0x20;

        [LibraryImport("kernel32", SetLastError = true)]
        public static partial nint VirtualAlloc(nint address, nuint size, uint type, uint protection);

        [LibraryImport("kernel32", SetLastError = true)]
        [return: MarshalAs(UnmanagedType.Bool)]
        public static partial bool VirtualProtect(nint address, nuint size, uint protection, out uint old);

        [LibraryImport("kernel32", SetLastError = true)]
        [return: MarshalAs(UnmanagedType.Bool)]
        public static partial bool VirtualFree(nint address, nuint size, uint type);
    }
}
