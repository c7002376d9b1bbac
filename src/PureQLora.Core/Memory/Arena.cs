namespace PureQLora.Core;

/// <summary>
/// Bump allocator for everything that lives no longer than one pass. It grows in blocks while a pass finds its size, and at
/// <see cref="Reset"/> joins them into one, so that from the second pass on nothing is allocated.
/// </summary>
public sealed class Arena : IDisposable
{
    private const long SmallestBlock = 1 << 20;

    private readonly IBackend _backend;
    private readonly List<Storage> _blocks = [];
    private int _block;
    private long _offset;
    private long _used;

    /// <summary>Creates an empty arena.</summary>
    /// <param name="backend">Gives the memory.</param>
    public Arena(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        _backend = backend;
    }

    /// <summary>The backend whose memory this is.</summary>
    public IBackend Backend => _backend;

    /// <summary>Largest number of bytes in use at once since creation, padding included.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>Bytes held, used or not.</summary>
    public long ReservedBytes { get; private set; }

    /// <summary>Takes one block for all that passes will need, where that is known beforehand.</summary>
    /// <param name="bytes">The <see cref="PeakBytes"/> of such a pass.</param>
    /// <exception cref="InvalidOperationException">A pass is under way.</exception>
    public void Reserve(long bytes)
    {
        if (_used > 0)
        {
            throw new InvalidOperationException($"{_used} bytes of the arena are in use; reserve between passes.");
        }

        if (bytes > ReservedBytes)
        {
            Release();
            (_block, _offset) = (0, 0);
            _blocks.Add(_backend.Allocate(bytes));
            ReservedBytes = bytes;
        }
    }

    /// <summary>Takes aligned bytes; contents undefined.</summary>
    /// <returns>The block and the byte offset in it.</returns>
    internal (Storage Block, long Offset) Take(long bytes)
    {
        long size = (bytes + CpuStorage.Alignment - 1) & ~(CpuStorage.Alignment - 1L);
        while (_block < _blocks.Count && _offset + size > _blocks[_block].ByteLength)
        {
            (_block, _offset) = (_block + 1, 0);
        }

        if (_block == _blocks.Count)
        {
            Storage added = _backend.Allocate(Math.Max(size, Math.Max(SmallestBlock, ReservedBytes / 2)));
            _blocks.Add(added);
            ReservedBytes += added.ByteLength;
        }

        (Storage, long) taken = (_blocks[_block], _offset);
        _offset += size;
        _used += size;
        PeakBytes = Math.Max(PeakBytes, _used);
        return taken;
    }

    /// <summary>The present position, to come back to.</summary>
    internal Position Mark() => new(_block, _offset, _used);

    /// <summary>Gives back everything taken since the mark; the bytes keep their contents until they are taken again.</summary>
    internal void Rewind(Position mark) => (_block, _offset, _used) = (mark.Block, mark.Offset, mark.Used);

    /// <summary>Gives back everything.</summary>
    public void Reset()
    {
        if (_blocks.Count > 1)
        {
            long total = ReservedBytes;
            Release();
            _blocks.Add(_backend.Allocate(total));
            ReservedBytes = total;
        }

        (_block, _offset, _used) = (0, 0, 0);
    }

    /// <summary>Releases the memory; tensors made from it become invalid.</summary>
    public void Dispose()
    {
        Release();
        (_block, _offset, _used) = (0, 0, 0);
    }

    private void Release()
    {
        foreach (Storage block in _blocks)
        {
            block.Dispose();
        }

        _blocks.Clear();
        ReservedBytes = 0;
    }

    /// <summary>A place in the arena.</summary>
    internal readonly record struct Position(int Block, long Offset, long Used);
}
