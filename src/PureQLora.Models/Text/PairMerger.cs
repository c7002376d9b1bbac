using System.Buffers;

namespace PureQLora.Models;

/// <summary>Applies merges to a word: always the pair of lowest rank, and of equal ranks the leftmost.</summary>
/// <remarks>Sennrich, Haddow and Birch, arXiv:1508.07909, algorithm 1. O(n log n) for a word of n symbols.</remarks>
internal static class PairMerger
{
    /// <summary>Words up to this length are merged by looking for the lowest rank, which is faster than a heap there.</summary>
    private const int ShortWord = 32;

    /// <summary>Merges in place and returns how many symbols are left, at the front of <paramref name="symbols"/>.</summary>
    /// <param name="symbols">Symbols of one word; negative ones never merge.</param>
    /// <param name="table">The merges.</param>
    public static int Merge(Span<int> symbols, MergeTable table) =>
        symbols.Length <= ShortWord ? MergeShort(symbols, table) : MergeLong(symbols, table);

    private static int MergeShort(Span<int> symbols, MergeTable table)
    {
        int count = symbols.Length;
        Span<ulong> pairs = stackalloc ulong[ShortWord];   // pairs[i] = merge of symbols i and i + 1
        for (int i = 0; i + 1 < count; i++)
        {
            pairs[i] = table.Find(symbols[i], symbols[i + 1]);
        }

        while (count > 1)
        {
            int best = 0;
            for (int i = 1; i < count - 1; i++)
            {
                best = pairs[i] >> 32 < pairs[best] >> 32 ? i : best;
            }

            if (pairs[best] == MergeTable.None)
            {
                break;
            }

            symbols[best] = (int)(uint)pairs[best];
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            pairs[(best + 1)..(count - 1)].CopyTo(pairs[best..]);
            count--;
            if (best > 0)
            {
                pairs[best - 1] = table.Find(symbols[best - 1], symbols[best]);
            }

            if (best < count - 1)
            {
                pairs[best] = table.Find(symbols[best], symbols[best + 1]);
            }
        }

        return count;
    }

    private static int MergeLong(Span<int> symbols, MergeTable table)
    {
        int length = symbols.Length;
        int[] links = ArrayPool<int>.Shared.Rent(2 * length);
        Span<int> next = links.AsSpan(0, length);             // length = end of the word, −1 = swallowed by its left neighbour
        Span<int> previous = links.AsSpan(length, length);
        PriorityQueue<int, ulong> queue = new(length);        // place of a pair, by rank and then place
        for (int i = 0; i < length; i++)
        {
            (next[i], previous[i]) = (i + 1, i - 1);
            Enqueue(queue, symbols, table, i, i + 1);
        }

        while (queue.TryDequeue(out int at, out ulong priority))
        {
            int right = next[at];
            if (right < 0 || right == length)
            {
                continue;
            }

            // An entry may be older than its pair. It still counts when the pair that is there now has its rank.
            ulong pair = table.Find(symbols[at], symbols[right]);
            if (pair == MergeTable.None || pair >> 32 != priority >> 32)
            {
                continue;
            }

            symbols[at] = (int)(uint)pair;
            int after = next[right];
            (next[at], next[right]) = (after, -1);
            if (after < length)
            {
                previous[after] = at;
            }

            Enqueue(queue, symbols, table, at, after);
            if (previous[at] >= 0)
            {
                Enqueue(queue, symbols, table, previous[at], at);
            }
        }

        int count = 0;
        for (int i = 0; i < length; i = next[i])
        {
            symbols[count++] = symbols[i];
        }

        ArrayPool<int>.Shared.Return(links);
        return count;
    }

    private static void Enqueue(PriorityQueue<int, ulong> queue, Span<int> symbols, MergeTable table, int left, int right)
    {
        ulong pair = right < symbols.Length ? table.Find(symbols[left], symbols[right]) : MergeTable.None;
        if (pair != MergeTable.None)
        {
            queue.Enqueue(left, (pair & 0xFFFFFFFF00000000UL) | (uint)left);
        }
    }
}
