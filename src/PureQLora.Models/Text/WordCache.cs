using System.Collections.Concurrent;

namespace PureQLora.Models;

/// <summary>Remembers the ids of short words. Bounded, and safe to share between threads.</summary>
internal sealed class WordCache
{
    private const int MaxWords = 1 << 16;
    private const int MaxLength = 48;
    private readonly ConcurrentDictionary<string, int[]> _words = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private int _count;

    public WordCache() => _lookup = _words.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Ids of a word seen before.</summary>
    public bool TryGet(ReadOnlySpan<char> word, out int[]? ids)
    {
        ids = null;
        return word.Length <= MaxLength && _lookup.TryGetValue(word, out ids);
    }

    /// <summary>Keeps the ids of a word while there is room.</summary>
    public void Add(ReadOnlySpan<char> word, ReadOnlySpan<int> ids)
    {
        if (word.Length <= MaxLength && Volatile.Read(ref _count) < MaxWords && _lookup.TryAdd(word, ids.ToArray()))
        {
            Interlocked.Increment(ref _count);
        }
    }
}
