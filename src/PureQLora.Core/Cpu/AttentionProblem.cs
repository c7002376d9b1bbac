namespace PureQLora.Core;

/// <summary>Operands and extents of one attention call. Rows are the queries of all heads that share a key-value head.</summary>
/// <remarks>Row r of a key-value head is query r / Group of its head r % Group, so neighbouring rows see nearly the same keys.</remarks>
internal unsafe struct AttentionProblem
{
    public float* Q;                // [batch, seq, heads, headDim]
    public float* K;                // [batch, capacity, kvHeads, headDim]
    public float* V;                // [batch, capacity, kvHeads, headDim]
    public float* Y;                // [batch, seq, heads, headDim]
    public float* LogSumExp;        // [batch, heads, seq]
    public int* Segments;           // [batch, segmentStride], or null
    public int Batch;
    public int Sequence;
    public int Heads;
    public int KeyValueHeads;
    public int HeadDim;
    public int Capacity;
    public int KeyCount;
    public int Window;
    public long SegmentStride;
    public float Scale;
    public bool Rounds;             // operands of products to bfloat16

    public AttentionProblem(Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale, Tensor y, Tensor logSumExp)
    {
        Q = Pointer(q);
        K = Pointer(k);
        V = Pointer(v);
        Y = Pointer(y);
        LogSumExp = Pointer(logSumExp);
        (Batch, Sequence, Heads, HeadDim) = ((int)q.Shape[0], (int)q.Shape[1], (int)q.Shape[2], (int)q.Shape[3]);
        (Capacity, KeyValueHeads) = ((int)k.Shape[1], (int)k.Shape[2]);
        KeyCount = (int)(mask.KeyCount ?? Capacity);
        Window = mask.Window ?? int.MaxValue;
        Segments = mask.Segments is null ? null : (int*)mask.Segments.Host(DataType.Int32);
        SegmentStride = mask.Segments?.Shape[1] ?? 0;
        Scale = scale;
    }

    /// <summary>Heads that share a key-value head.</summary>
    public readonly int Group => Heads / KeyValueHeads;

    /// <summary>Rows of one key-value head.</summary>
    public readonly long Rows => (long)Sequence * Group;

    /// <summary>Pairs of batch entry and key-value head.</summary>
    public readonly int Pairs => Batch * KeyValueHeads;

    /// <summary>Elements from a key to the next one of the same head.</summary>
    public readonly long KeyStride => (long)KeyValueHeads * HeadDim;

    /// <summary>Index among the keys of a row's query.</summary>
    public readonly int RowIndex(long row) => KeyCount - Sequence + (int)(row / Group);

    /// <summary>First element of a row in q, y and their gradients.</summary>
    public readonly long RowOffset(int pair, long row)
    {
        (long batch, long head) = (pair / KeyValueHeads, pair % KeyValueHeads);
        return ((((batch * Sequence) + (row / Group)) * Heads) + (head * Group) + (row % Group)) * HeadDim;
    }

    /// <summary>Position of a row in the log-sum-exp.</summary>
    public readonly long StatisticOffset(int pair, long row)
    {
        (long batch, long head) = (pair / KeyValueHeads, pair % KeyValueHeads);
        return (((batch * Heads) + (head * Group) + (row % Group)) * Sequence) + (row / Group);
    }

    /// <summary>First element of key 0 in k, v and their gradients.</summary>
    public readonly long KeyOffset(int pair)
    {
        (long batch, long head) = (pair / KeyValueHeads, pair % KeyValueHeads);
        return ((batch * Capacity * KeyValueHeads) + head) * HeadDim;
    }

    /// <summary>Segments of the keys of a pair's batch entry; null where there are none.</summary>
    public readonly int* SegmentsOf(int pair) => Segments is null ? null : Segments + (pair / KeyValueHeads * SegmentStride);

    private static float* Pointer(Tensor tensor) => (float*)tensor.Host(DataType.Float32);
}
