using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// Shapes and mask of an attention. A pair is a batch entry and one of its key-value heads; its rows are the queries of all heads that share
/// the keys, head after head of a token: row r is head r % GroupHeads of token r / GroupHeads.
/// </summary>
/// <param name="KeyValueHeads">Of a token.</param>
/// <param name="GroupHeads">Heads that share a key-value head.</param>
/// <param name="Sequence">Tokens with queries.</param>
/// <param name="KeyCount">Valid keys, those of the queries last.</param>
/// <param name="Capacity">Keys of the buffer.</param>
/// <param name="HeadDim">Numbers of a head.</param>
/// <param name="Window">Keys that a query sees at most, its own included.</param>
/// <param name="Segments">[batch, SegmentStride], or a stand-in.</param>
/// <param name="SegmentStride">0 without segments.</param>
public readonly record struct AttentionGeometry(
    int KeyValueHeads, int GroupHeads, int Sequence, int KeyCount, int Capacity, int HeadDim, int Window, ArrayView<int> Segments, int SegmentStride)
{
    /// <summary>Queries of a pair.</summary>
    public int Rows => Sequence * GroupHeads;

    /// <summary>From a key to the next of its pair.</summary>
    public int KeyStride => KeyValueHeads * HeadDim;

    /// <summary>Index of a row's own key; a row past the end has one past the valid keys.</summary>
    public int OwnKey(int row) => KeyCount - Sequence + (row / GroupHeads);

    /// <summary>The first key that a query may see.</summary>
    public int FirstKey(int own) => own >= Window ? own - Window + 1 : 0;

    /// <summary>The first row that may see a key.</summary>
    public int FirstRow(int key)
    {
        int token = key - (KeyCount - Sequence);
        return token > 0 ? token * GroupHeads : 0;
    }

    /// <summary>One past the last row that may see a key.</summary>
    public int EndRow(int key)
    {
        // KeyCount − key tokens at most come after a key, so the sum cannot overflow.
        int ahead = Window < KeyCount - key ? Window : KeyCount - key;
        int token = key - (KeyCount - Sequence) + ahead;
        return token > 0 ? token * GroupHeads : 0;
    }

    /// <summary>Whether the query whose own key this is sees a key; no query past the end sees any.</summary>
    public bool Sees(int pair, int own, int key)
    {
        bool sees = own < KeyCount && key <= own && own - key < Window;
        if (sees && SegmentStride > 0)
        {
            int start = pair / KeyValueHeads * SegmentStride;
            sees = Segments[start + own] == Segments[start + key];
        }

        return sees;
    }

    /// <summary>Where a row starts in [batch, seq, heads, headDim].</summary>
    public int RowOffset(int pair, int row)
    {
        int batch = pair / KeyValueHeads;
        int token = row / GroupHeads;
        int head = ((pair - (batch * KeyValueHeads)) * GroupHeads) + row - (token * GroupHeads);
        return ((((batch * Sequence) + token) * KeyValueHeads * GroupHeads) + head) * HeadDim;
    }

    /// <summary>Where a key starts in [batch, keys, kvHeads, headDim].</summary>
    public int KeyOffset(int pair, int key)
    {
        int batch = pair / KeyValueHeads;
        return ((((batch * Capacity) + key) * KeyValueHeads) + pair - (batch * KeyValueHeads)) * HeadDim;
    }

    /// <summary>Where a row is in [batch, heads, seq].</summary>
    public int StatisticOffset(int pair, int row)
    {
        int token = row / GroupHeads;
        return (((pair * GroupHeads) + row - (token * GroupHeads)) * Sequence) + token;
    }
}
