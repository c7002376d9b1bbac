using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>
/// Gradients of an attention call and how the work on them is cut: the rows of a pair of batch entry and key-value head form parts;
/// each part sums its own share of dk and dv, and the shares are added in order.
/// </summary>
internal unsafe struct AttentionGradients
{
    /// <summary>Tasks that backward has at least, where the sequence is long enough: more processors than this find no work.</summary>
    private const int Tasks = 16;

    public float* Dy;               // [batch, seq, heads, headDim]
    public float* Dq;               // [batch, seq, heads, headDim], or null
    public float* Dk;               // [batch, capacity, kvHeads, headDim], or null
    public float* Dv;               // [batch, capacity, kvHeads, headDim], or null
    public float* Shares;           // [pairs, parts, 2, keyCount, padded]: dk, dv; null where neither is wanted
    public long Parts;
    public long TilesPerPart;
    public long Tiles;
    public long ShareLength;
    public int Padded;
    public bool AddsDq;             // otherwise dq is written

    /// <summary>Whether dk or dv is wanted.</summary>
    public readonly bool NeedsShares => Dk is not null || Dv is not null;

    /// <summary>Cuts the tiles of a pair's rows into parts.</summary>
    /// <param name="problem">The call.</param>
    /// <param name="tiles">Tiles of a pair's rows.</param>
    /// <param name="padded">Dimension of a head, rounded up to what the kernels need.</param>
    public void Cut(AttentionProblem* problem, long tiles, int padded)
    {
        Parts = Math.Min(tiles, (Tasks + problem->Pairs - 1) / problem->Pairs);
        TilesPerPart = (tiles + Parts - 1) / Parts;
        (Tiles, Padded) = (tiles, padded);
        ShareLength = (long)problem->KeyCount * padded;
    }

    /// <summary>Elements of all shares.</summary>
    public readonly long SharesLength(AttentionProblem* problem) => NeedsShares ? 2 * ShareLength * Parts * problem->Pairs : 0;

    /// <summary>Begins an item, a part of one pair: clears its share. The last part sees the most keys and goes first.</summary>
    public readonly (int Pair, long FirstTile, long LastTile) Begin(long item, int pairs, out float* dk, out float* dv)
    {
        long part = Parts - 1 - (item / pairs);
        int pair = (int)(item % pairs);
        dk = Shares + (2 * ShareLength * ((pair * Parts) + part));
        dv = dk + ShareLength;
        if (Shares is not null)
        {
            NativeMemory.Clear(dk, (nuint)(2 * ShareLength * sizeof(float)));
        }

        return (pair, part * TilesPerPart, Math.Min(Tiles, (part + 1) * TilesPerPart));
    }
}
