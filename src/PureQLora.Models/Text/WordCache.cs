using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace PureQLora.Models;

/// <summary>Remembers the ids of short words. Bounded, without locks, and safe to share between threads.</summary>
/// <remarks>
/// The hash of a word tells a set of four places; a new word takes the first and the oldest of the four goes, so a text of any length
/// keeps what it uses now. An entry is one array, never changed once it is in place: length of the word, its characters two to an
/// int, its ids.
/// </remarks>
internal sealed class WordCache
{
    private const int SetSize = 4;
    private const int Sets = 1 << 15;
    private const int MaxLength = 48;
    private readonly int[]?[] _entries = new int[]?[Sets * SetSize];

    /// <summary>Ids of a word seen before.</summary>
    public bool TryGet(ReadOnlySpan<char> word, out ReadOnlySpan<int> ids)
    {
        if (word.Length <= MaxLength)
        {
            foreach (int[]? entry in Set(word))
            {
                if (entry is null)
                {
                    break;
                }

                if (entry[0] == word.Length && MemoryMarshal.Cast<int, char>(entry.AsSpan(1))[..word.Length].SequenceEqual(word))
                {
                    ids = entry.AsSpan(1 + Ints(word));
                    return true;
                }
            }
        }

        ids = default;
        return false;
    }

    /// <summary>Keeps the ids of a word.</summary>
    public void Add(ReadOnlySpan<char> word, ReadOnlySpan<int> ids)
    {
        if (word.Length > MaxLength)
        {
            return;
        }

        int[] entry = new int[1 + Ints(word) + ids.Length];
        entry[0] = word.Length;
        word.CopyTo(MemoryMarshal.Cast<int, char>(entry.AsSpan(1)));
        ids.CopyTo(entry.AsSpan(1 + Ints(word)));

        // Threads may move entries of a set at once; the worst is that one is there twice or lost. Another thread sees a whole entry or none.
        Span<int[]?> set = Set(word);
        for (int place = SetSize - 1; place > 0; place--)
        {
            Volatile.Write(ref set[place], set[place - 1]);
        }

        Volatile.Write(ref set[0], entry);
    }

    private Span<int[]?> Set(ReadOnlySpan<char> word) => _entries.AsSpan(Hash(word) * SetSize, SetSize);

    private static int Ints(ReadOnlySpan<char> word) => (word.Length + 1) / 2;

    private static int Hash(ReadOnlySpan<char> word)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(word);
        ulong hash = (ulong)bytes.Length;
        for (; bytes.Length >= 8; bytes = bytes[8..])
        {
            hash = Mix(hash, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        if (bytes.Length >= 4)
        {
            hash = Mix(hash, BinaryPrimitives.ReadUInt32LittleEndian(bytes));
            bytes = bytes[4..];
        }

        hash = bytes.Length >= 2 ? Mix(hash, BinaryPrimitives.ReadUInt16LittleEndian(bytes)) : hash;
        return (int)(hash & (Sets - 1));
    }

    private static ulong Mix(ulong hash, ulong value)
    {
        // The upper bits of a product depend on all lower ones; they are folded down for the next round.
        hash = (hash ^ value) * 0x9E3779B97F4A7C15UL;
        return hash ^ (hash >> 32);
    }
}
