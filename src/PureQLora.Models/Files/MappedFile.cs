using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace PureQLora.Models;

/// <summary>
/// A file mapped for reading. It stays mapped as long as anything refers to it, so tensors that view it need not know who opened it.
/// </summary>
internal sealed unsafe class MappedFile : IDisposable
{
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

    private void ReleasePointer() => Interlocked.Exchange(ref _handle, null)?.ReleasePointer();
}
