using System.Numerics;

namespace PureQLora.Models;

/// <summary>The merges of a byte-pair encoding, found by their two symbols. Open addressing, at most half full, immutable.</summary>
internal sealed class MergeTable
{
    /// <summary>What <see cref="Find"/> gives for a pair that does not merge; greater than every merge.</summary>
    public const ulong None = ulong.MaxValue;

    private const ulong EmptyKey = ulong.MaxValue;
    private readonly Slot[] _slots;
    private readonly int _shift;

    /// <summary>Stores the merges; of two with the same pair the later one counts.</summary>
    public MergeTable(IReadOnlyCollection<Merge> merges)
    {
        int bits = Math.Max(4, BitOperations.Log2((uint)merges.Count + 1) + 2);
        _shift = 64 - bits;
        _slots = new Slot[1 << bits];
        Array.Fill(_slots, new Slot(EmptyKey, None));
        foreach (Merge merge in merges)
        {
            ulong key = Key(merge.Left, merge.Right);
            _slots[Locate(key)] = new Slot(key, ((ulong)(uint)merge.Rank << 32) | (uint)merge.Result);
        }
    }

    /// <summary>Rank (upper 32 bits) and resulting symbol (lower 32 bits) of a pair, or <see cref="None"/>.</summary>
    public ulong Find(int left, int right) => _slots[Locate(Key(left, right))].Value;

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int Locate(ulong key)
    {
        // Fibonacci hashing: the upper bits of the product are well mixed.
        int index = (int)((key * 0x9E3779B97F4A7C15UL) >> _shift);
        while (_slots[index].Key != key && _slots[index].Key != EmptyKey)
        {
            index = (index + 1) & (_slots.Length - 1);
        }

        return index;
    }

    private readonly record struct Slot(ulong Key, ulong Value);
}
