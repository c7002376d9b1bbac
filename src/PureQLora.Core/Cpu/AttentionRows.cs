namespace PureQLora.Core;

/// <summary>A tile of rows of one pair: which they are and what they may see.</summary>
/// <typeparam name="TLanes">Width.</typeparam>
/// <typeparam name="TVector">Vector of that width.</typeparam>
internal unsafe struct AttentionRows<TLanes, TVector>
    where TLanes : struct, ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>Keys of a tile: its scores and a head of 128 stay in the first-level cache.</summary>
    public const int KeyTile = 64;

    private readonly AttentionProblem* _problem;
    private readonly int* _keySegments;
    private readonly int* _indices;         // [Width]
    private readonly int* _segments;        // [Width]
    private readonly int _lastIndex;
    private readonly int _firstIndex;
    private readonly int _lowestSegment;
    private readonly int _highestSegment;

    /// <param name="problem">The call.</param>
    /// <param name="pair">Batch entry and key-value head.</param>
    /// <param name="first">First row.</param>
    /// <param name="width">Lanes of the tile, a multiple of a vector's.</param>
    /// <param name="lanes">Room for 2 · width integers.</param>
    public AttentionRows(AttentionProblem* problem, int pair, long first, int width, int* lanes)
    {
        _problem = problem;
        (Pair, First, Width) = (pair, first, width);
        Count = (int)Math.Min(width, problem->Rows - first);
        _keySegments = problem->SegmentsOf(pair);
        _indices = lanes;
        _segments = lanes + width;
        (_firstIndex, _lastIndex) = (problem->RowIndex(first), problem->RowIndex(first + Count - 1));
        (_lowestSegment, _highestSegment) = (int.MaxValue, int.MinValue);
        (int index, int member, int group) = (_firstIndex, (int)(first % problem->Group), problem->Group);
        for (int lane = 0; lane < width; lane++)
        {
            int segment = _keySegments is null ? 0 : _keySegments[index];
            (_indices[lane], _segments[lane]) = (index, segment);
            (_lowestSegment, _highestSegment) = (Math.Min(_lowestSegment, segment), Math.Max(_highestSegment, segment));

            // Lanes without a row repeat the last one: they compute something finite that nobody reads.
            if (lane < Count - 1 && ++member == group)
            {
                (index, member) = (index + 1, 0);
            }
        }
    }

    public readonly int Pair { get; }

    public readonly long First { get; }

    /// <summary>Lanes.</summary>
    public readonly int Width { get; }

    /// <summary>Rows in use.</summary>
    public readonly int Count { get; }

    /// <summary>Key tiles to look at start here, at a multiple of <see cref="KeyTile"/>.</summary>
    public readonly int FirstKey =>
        _problem->Window > _firstIndex ? 0 : (_firstIndex - _problem->Window + 1) / KeyTile * KeyTile;

    /// <summary>Keys from here on are later than every row.</summary>
    public readonly int EndKey => _lastIndex + 1;

    /// <summary>Keys of the tile that starts at <paramref name="key"/>.</summary>
    public readonly int KeysFrom(int key) => Math.Min(KeyTile, EndKey - key);

    /// <summary>Whether any row may see any key of a tile, and whether every row surely sees all of them.</summary>
    public readonly (bool Any, bool All) Sees(int key, int count)
    {
        bool all = key + count - 1 <= _firstIndex && _lastIndex - key < _problem->Window;
        if (_keySegments is null)
        {
            return (true, all);
        }

        (int lowest, int highest) = (int.MaxValue, int.MinValue);
        for (int i = key; i < key + count; i++)
        {
            (lowest, highest) = (Math.Min(lowest, _keySegments[i]), Math.Max(highest, _keySegments[i]));
        }

        bool any = lowest <= _highestSegment && highest >= _lowestSegment;
        return (any, all && lowest == highest && _lowestSegment == _highestSegment && lowest == _lowestSegment);
    }

    /// <summary>Sets scores [count, Width] to −∞ where the row does not see the key.</summary>
    public readonly void Mask(float* scores, int key, int count)
    {
        // Without segments, and inside the window, only keys behind the first row's are hidden from anyone.
        bool onlyLater = _keySegments is null && _lastIndex - key < _problem->Window;
        for (int i = onlyLater ? Math.Max(0, _firstIndex + 1 - key) : 0; i < count; i++)
        {
            int segment = _keySegments is null ? 0 : _keySegments[key + i];
            for (int lane = 0; lane < Width; lane += TLanes.Count)
            {
                float* s = scores + (i * Width) + lane;
                TLanes.Store(TLanes.MaskInvisible(TLanes.Load(s), _indices + lane, _segments + lane, key + i, segment, _problem->Window), s);
            }
        }
    }

    /// <summary>Sets scores [Count, KeyTile] to −∞ where the row does not see the key.</summary>
    public readonly void MaskRows(float* scores, int key, int count)
    {
        for (int row = 0; row < Count; row++)
        {
            for (int i = 0; i < count; i++)
            {
                int distance = _indices[row] - key - i;
                if (distance < 0 || distance >= _problem->Window || (_keySegments is not null && _keySegments[key + i] != _segments[row]))
                {
                    scores[(row * KeyTile) + i] = float.NegativeInfinity;
                }
            }
        }
    }

    /// <summary>First element of each row in q, y and their gradients; −1 in lanes without one.</summary>
    public readonly void LoadOffsets(long* offsets)
    {
        // Heads of a group stand side by side; from the last of them it is the other groups' elements to the next query.
        (int member, int group) = ((int)(First % _problem->Group), _problem->Group);
        long offset = _problem->RowOffset(Pair, First);
        for (int lane = 0; lane < Width; lane++)
        {
            offsets[lane] = lane < Count ? offset : -1;
            offset += _problem->HeadDim;
            if (++member == group)
            {
                (offset, member) = (offset + ((long)(_problem->Heads - group) * _problem->HeadDim), 0);
            }
        }
    }

    /// <summary>columns[d, lane] = factor · source[row, d], rounded where the call rounds; lanes without a row are 0.</summary>
    public readonly void LoadColumns(float* source, float factor, float* columns)
    {
        int width = Width;
        int depth = _problem->HeadDim;
        if (Count < width)
        {
            new Span<float>(columns, depth * width).Clear();
        }

        for (int lane = 0; lane < Count; lane++)
        {
            float* row = source + _problem->RowOffset(Pair, First + lane);
            for (int d = 0; d < depth; d++)
            {
                columns[(d * width) + lane] = factor * row[d];
            }
        }

        if (_problem->Rounds)
        {
            BFloat16Vectors.Round(columns, columns, depth * width);
        }
    }

    /// <summary>rows[row, d] = factor · source[row, d], rounded where the call rounds, padded with 0 to <paramref name="padded"/> elements.</summary>
    public readonly void LoadRows(float* source, float factor, int padded, float* rows)
    {
        int depth = _problem->HeadDim;
        new Span<float>(rows, Count * padded).Clear();
        for (int lane = 0; lane < Count; lane++)
        {
            float* row = source + _problem->RowOffset(Pair, First + lane);
            for (int d = 0; d < depth; d++)
            {
                rows[(lane * padded) + d] = factor * row[d];
            }
        }

        if (_problem->Rounds)
        {
            BFloat16Vectors.Round(rows, rows, Count * padded);
        }
    }
}
