namespace PureQLora.Training;

/// <summary>Packs samples into rows, giving the rows that TRL 1.16.0's <c>pack_dataset</c> gives.</summary>
/// <remarks>Best-fit-decreasing packing for training: Ding et al., arXiv:2404.10830. Empty samples are left out.</remarks>
public static class SequencePacker
{
    /// <summary>TRL hands over this many samples at a time; no row holds samples of two such batches.</summary>
    public const int BatchSize = 1000;

    /// <summary>Packs samples.</summary>
    /// <param name="lengths">Length of every sample in tokens.</param>
    /// <param name="rowLength">Tokens of a row, at least 1.</param>
    /// <param name="strategy">How.</param>
    /// <returns>Rows in the order they were opened, each with its segments in the order they were put in.</returns>
    public static IReadOnlyList<IReadOnlyList<PackedSegment>> Pack(IReadOnlyList<int> lengths, int rowLength, PackingStrategy strategy)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rowLength, 1);
        List<IReadOnlyList<PackedSegment>> rows = [];
        for (int first = 0; first < lengths.Count; first += BatchSize)
        {
            int end = Math.Min(first + BatchSize, lengths.Count);
            if (strategy == PackingStrategy.Wrapped)
            {
                Wrap(lengths, first, end, rowLength, rows);
            }
            else
            {
                BestFit(Pieces(lengths, first, end, rowLength, strategy == PackingStrategy.BestFitSplit), rowLength, rows);
            }
        }

        return rows;
    }

    private static List<PackedSegment> Pieces(IReadOnlyList<int> lengths, int first, int end, int rowLength, bool split)
    {
        List<PackedSegment> pieces = [];
        for (int sample = first; sample < end; sample++)
        {
            int usable = split ? lengths[sample] : Math.Min(lengths[sample], rowLength);
            for (int start = 0; start < usable; start += rowLength)
            {
                pieces.Add(new(sample, start, Math.Min(rowLength, usable - start)));
            }
        }

        return pieces;
    }

    private static void BestFit(List<PackedSegment> pieces, int rowLength, List<IReadOnlyList<PackedSegment>> rows)
    {
        // Rows by free space; of rows with the same space the one that reached it first is filled first.
        SortedSet<int> spaces = [];
        Dictionary<int, Queue<List<PackedSegment>>> rowsBySpace = [];
        foreach (PackedSegment piece in pieces.OrderByDescending(piece => piece.Count))
        {
            int space = spaces.GetViewBetween(piece.Count, rowLength) is { Count: > 0 } fitting ? fitting.Min : 0;
            List<PackedSegment> row;
            if (space > 0)
            {
                row = rowsBySpace[space].Dequeue();
                if (rowsBySpace[space].Count == 0)
                {
                    spaces.Remove(space);
                }
            }
            else
            {
                row = [];
                rows.Add(row);
                space = rowLength;
            }

            row.Add(piece);
            int left = space - piece.Count;
            if (left > 0)
            {
                spaces.Add(left);
                (rowsBySpace.TryGetValue(left, out Queue<List<PackedSegment>>? queue) ? queue : rowsBySpace[left] = new()).Enqueue(row);
            }
        }
    }

    private static void Wrap(IReadOnlyList<int> lengths, int first, int end, int rowLength, List<IReadOnlyList<PackedSegment>> rows)
    {
        List<PackedSegment> row = [];
        int free = rowLength;
        for (int sample = first; sample < end; sample++)
        {
            for (int start = 0, count; start < lengths[sample]; start += count)
            {
                count = Math.Min(free, lengths[sample] - start);
                row.Add(new(sample, start, count));
                free -= count;
                if (free == 0)
                {
                    rows.Add(row);
                    (row, free) = ([], rowLength);
                }
            }
        }

        if (row.Count > 0)
        {
            rows.Add(row);
        }
    }
}
