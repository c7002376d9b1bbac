using System.Runtime.CompilerServices;

namespace PureQLora.Kernels.Simulation.Memory;

/// <summary>A block of memory with what is known of every byte of it.</summary>
internal sealed class MemoryRegion
{
    private static readonly Lock TableLock = new();
    private static MemoryRegion?[] Table = new MemoryRegion?[64];
    private static int LastId;

    private readonly byte[] _data;
    private readonly ShadowPage?[] _pages;
    private readonly int _initialWritten;

    /// <summary>New memory, filled with zeros in truth and with nothing as far as kernels should know.</summary>
    /// <param name="name">Name in messages.</param>
    /// <param name="space">Where it is.</param>
    /// <param name="byteLength">Bytes.</param>
    /// <param name="isInitialised">Whether it may be read before it is written.</param>
    public MemoryRegion(string name, MemorySpace space, long byteLength, bool isInitialised)
    {
        if (byteLength is < 0 or > int.MaxValue - ShadowPage.Bytes)
        {
            throw new ArgumentOutOfRangeException(nameof(byteLength), byteLength, "The simulation holds blocks of 0 to 2 GiB.");
        }

        (Name, Space) = (name, space);
        _data = new byte[byteLength];
        _pages = new ShadowPage?[(byteLength + ShadowPage.Bytes - 1) / ShadowPage.Bytes];
        _initialWritten = isInitialised ? ShadowCell.HostSerial : 0;
        lock (TableLock)
        {
            Id = ++LastId;
            if (Id >= Table.Length)
            {
                MemoryRegion?[] larger = new MemoryRegion?[Table.Length * 2];
                Table.CopyTo(larger, 0);
                Volatile.Write(ref Table, larger);
            }

            Table[Id] = this;
        }
    }

    /// <summary>What views know it by; never used again.</summary>
    public int Id { get; }

    /// <summary>Name in messages.</summary>
    public string Name { get; }

    /// <summary>Where it is.</summary>
    public MemorySpace Space { get; }

    /// <summary>Bytes.</summary>
    public long ByteLength => _data.Length;

    /// <summary>The block with this number; null if there never was one or it has been given back.</summary>
    public static MemoryRegion? Find(int id)
    {
        MemoryRegion?[] table = Volatile.Read(ref Table);
        return id < table.Length ? table[id] : null;
    }

    /// <summary>Gives the block back: views of it become invalid.</summary>
    public void Free()
    {
        lock (TableLock)
        {
            Table[Id] = null;
        }
    }

    /// <summary>The value of an element.</summary>
    public T Load<T>(long offset)
        where T : unmanaged => Unsafe.ReadUnaligned<T>(ref _data[offset]);

    /// <summary>Sets an element.</summary>
    public void Store<T>(long offset, T value)
        where T : unmanaged => Unsafe.WriteUnaligned(ref _data[offset], value);

    /// <summary>The bytes, for the host.</summary>
    public Span<byte> Bytes(long offset, long count) => _data.AsSpan(checked((int)offset), checked((int)count));

    /// <summary>Finds out what is wrong with an access, and remembers it.</summary>
    public Finding Touch(long offset, int size, AccessKind kind, in Accessor by)
    {
        Finding finding = default;
        while (size > 0)
        {
            ShadowPage page = Page(offset, size, out int start, out int count);
            Finding ofPage = page.Touch(start, count, kind, by, Space == MemorySpace.Shared);
            finding = finding.IsFault ? finding : ofPage;
            offset += count;
            size -= count;
        }

        return finding;
    }

    /// <summary>Declares a stretch written by the host, or by nobody.</summary>
    public void SetWritten(long offset, long count, bool isWritten)
    {
        int serial = isWritten ? ShadowCell.HostSerial : 0;
        while (count > 0)
        {
            ShadowPage page = Page(offset, count, out int start, out int part);
            if (part == ShadowPage.Bytes)
            {
                // A whole page needs no cells, so that large buffers cost nothing until a kernel comes.
                _pages[offset / ShadowPage.Bytes] = new ShadowPage(serial);
            }
            else
            {
                page.SetWritten(start, part, serial);
            }

            offset += part;
            count -= part;
        }
    }

    private ShadowPage Page(long offset, long count, out int start, out int part)
    {
        start = (int)(offset % ShadowPage.Bytes);
        part = (int)Math.Min(count, ShadowPage.Bytes - start);
        return _pages[offset / ShadowPage.Bytes] ??= new ShadowPage(_initialWritten);
    }
}
