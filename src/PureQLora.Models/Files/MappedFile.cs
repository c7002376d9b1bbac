using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// A file mapped for reading. It stays mapped as long as anything refers to it, so tensors that view it need not know who opened it.
/// </summary>
internal sealed unsafe partial class MappedFile : IDisposable
{
    private const int DontNeed = 4;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private SafeMemoryMappedViewHandle? _handle;

    /// <summary>Maps a whole file, which must not be empty.</summary>
    /// <param name="stream">The file; closed when the mapping is.</param>
    public MappedFile(FileStream stream)
    {
        Length = stream.Length;
        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
        byte* pointer = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        _handle = _view.SafeMemoryMappedViewHandle;
        Pointer = pointer + _view.PointerOffset;
    }

    /// <summary>Unmaps what nobody refers to any more.</summary>
    ~MappedFile() => ReleasePointer();

    /// <summary>First byte of the file; page-aligned.</summary>
    public byte* Pointer { get; }

    /// <summary>Bytes of the file.</summary>
    public long Length { get; }

    /// <summary>Unmaps now; only where no view is in use.</summary>
    public void Dispose()
    {
        ReleasePointer();
        _view.Dispose();
        _file.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Gives the memory of a tensor that views a mapped file back to the system; it is read from the file again where it is used again.
    /// Elsewhere than on Linux, and for other tensors, nothing happens: the system takes clean pages when it needs them.
    /// </summary>
    public static void ReleasePages(Tensor tensor)
    {
        if (tensor.Storage is CpuStorage { Owner: MappedFile file } storage)
        {
            file.ReleasePages(storage.Pointer - file.Pointer, storage.ByteLength);
        }
    }

    /// <summary>Gives back the whole pages of a range of the file.</summary>
    public void ReleasePages(long offset, long length)
    {
        long page = Environment.SystemPageSize;
        long first = (offset + page - 1) / page * page;
        long last = (offset + length) / page * page;
        if (OperatingSystem.IsLinux() && last > first)
        {
            _ = Advise(Pointer + first, (nuint)(last - first), DontNeed); // advice: a refusal costs nothing but memory
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Advise(byte* address, nuint length, int advice);

    private void ReleasePointer() => Interlocked.Exchange(ref _handle, null)?.ReleasePointer();
}
