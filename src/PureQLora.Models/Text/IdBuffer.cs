using System.Buffers;

namespace PureQLora.Models;

/// <summary>A growing list of token ids on pooled memory, for one call; the pool lends, so that encoding leaves nothing to collect but its result.</summary>
internal sealed class IdBuffer : IDisposable
{
    private int[] _ids;

    /// <summary>Creates an empty list.</summary>
    /// <param name="capacity">Ids that it will probably hold.</param>
    public IdBuffer(int capacity) => _ids = ArrayPool<int>.Shared.Rent(capacity);

    /// <summary>Number of ids.</summary>
    public int Count { get; private set; }

    /// <summary>The ids; valid until the next is added.</summary>
    public ReadOnlySpan<int> Ids => _ids.AsSpan(0, Count);

    /// <summary>Appends an id.</summary>
    public void Add(int id)
    {
        if (Count == _ids.Length)
        {
            Grow(1);
        }

        _ids[Count++] = id;
    }

    /// <summary>Appends ids.</summary>
    public void Add(ReadOnlySpan<int> ids)
    {
        if (_ids.Length - Count < ids.Length)
        {
            Grow(ids.Length);
        }

        ids.CopyTo(_ids.AsSpan(Count));
        Count += ids.Length;
    }

    /// <summary>Gives the memory back.</summary>
    public void Dispose()
    {
        ArrayPool<int>.Shared.Return(_ids);
        _ids = [];
        Count = 0;
    }

    private void Grow(int more)
    {
        int[] larger = ArrayPool<int>.Shared.Rent(Math.Max(2 * Count, Count + more));
        Ids.CopyTo(larger);
        ArrayPool<int>.Shared.Return(_ids);
        _ids = larger;
    }
}
