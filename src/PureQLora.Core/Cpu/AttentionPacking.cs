using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>Operands of attention in bfloat16, in the orders that <see cref="AttentionKernels"/> reads; dimensions are padded with zeros.</summary>
/// <param name="problem">The call.</param>
/// <param name="depth">Dimension of a head, rounded up to a multiple of a vector.</param>
internal readonly unsafe struct AttentionPacking(AttentionProblem* problem, int depth)
{
    private const int Lanes = 16;
    private const int Width = AttentionKernels.Width;

    /// <summary>Keys of a pair of batch entry and head, rounded up to whole pairs of keys.</summary>
    public int PaddedKeys => (problem->KeyCount + 1) & ~1;

    /// <summary>Elements of a pair of batch entry and head.</summary>
    public long KeyLength => (long)PaddedKeys * depth;

    /// <summary>Two neighbouring keys of a pair, each a row, or element by element together.</summary>
    /// <param name="source">K or V.</param>
    /// <param name="pair">Batch entry and head.</param>
    /// <param name="key">The first, even.</param>
    /// <param name="rows">[keys, depth], or null.</param>
    /// <param name="pairs">[keys / 2, depth] pairs, or null.</param>
    public void PackKeys(float* source, int pair, int key, ushort* rows, uint* pairs)
    {
        float* first = source + problem->KeyOffset(pair) + (key * problem->KeyStride);
        float* second = key + 1 < problem->KeyCount ? first + problem->KeyStride : null;
        PackTwo(first, second, 1f, rows is null ? null : rows + ((long)key * depth), pairs is null ? null : pairs + ((long)key / 2 * depth));
    }

    /// <summary>Rows of a tile, times a factor; lanes without a row are 0.</summary>
    /// <param name="source">Q or dY.</param>
    /// <param name="offsets">[Width], first element of each row; −1 for lanes without one.</param>
    /// <param name="factor">Multiplies before rounding.</param>
    /// <param name="rows">[Width, depth], working memory.</param>
    /// <param name="columns">[depth / 2, Width] pairs along the dimension.</param>
    /// <param name="pairs">[Width / 2, depth] pairs of rows, or null.</param>
    public void PackRows(float* source, long* offsets, float factor, ushort* rows, uint* columns, uint* pairs)
    {
        for (int lane = 0; lane < Width; lane += 2)
        {
            float* first = offsets[lane] < 0 ? null : source + offsets[lane];
            float* second = offsets[lane + 1] < 0 ? null : source + offsets[lane + 1];
            PackTwo(first, second, factor, rows + (lane * depth), pairs is null ? null : pairs + (lane / 2 * depth));
        }

        // A pair along the dimension is one element of 4 bytes, and depth / 2 of them may be an odd half of a square.
        int words = depth / 2;
        float* square = stackalloc float[SquareTransposition.Side * SquareTransposition.Side];
        for (int lane = 0; lane < Width; lane += SquareTransposition.Side)
        {
            float* row = (float*)(rows + (lane * depth));
            int word = 0;
            for (; word + SquareTransposition.Side <= words; word += SquareTransposition.Side)
            {
                SquareTransposition.Run(row + word, words, (float*)columns + (word * Width) + lane, Width);
            }

            if (word < words)
            {
                // Read from the last whole square's place, where there is one, or beyond the row into the next: only the rest is kept.
                SquareTransposition.Run(row + word, words, square, SquareTransposition.Side);
                for (int i = 0; word + i < words; i++)
                {
                    Vector512.Load(square + (i * SquareTransposition.Side)).Store((float*)columns + ((word + i) * Width) + lane);
                }
            }
        }
    }

    /// <summary>y[row, d] = (or +=) columns[d, row] · factors[row].</summary>
    /// <param name="columns">[depth, Width]</param>
    /// <param name="factors">[Width]</param>
    /// <param name="offsets">[Width], first element of each row; −1 for lanes without one.</param>
    /// <param name="accumulate">Add.</param>
    /// <param name="y">Y or dQ.</param>
    public void StoreRows(float* columns, float* factors, long* offsets, bool accumulate, float* y)
    {
        const int Side = SquareTransposition.Side;
        float* square = stackalloc float[Side * Side];
        for (int lane = 0; lane < Width; lane += Side)
        {
            for (int d = 0; d < problem->HeadDim; d += Side)
            {
                SquareTransposition.Run(columns + (d * Width) + lane, Width, square, Side);
                for (int i = 0; i < Side && offsets[lane + i] >= 0; i++)
                {
                    float* target = y + offsets[lane + i] + d;
                    StoreRow(square + (i * Side), factors[lane + i], target, Math.Min(Side, problem->HeadDim - d), accumulate);
                }
            }
        }
    }

    private static void StoreRow(float* source, float factor, float* target, int count, bool accumulate)
    {
        if (count == Lanes)
        {
            Vector512<float> value = Vector512.Load(source) * Vector512.Create(factor);
            (accumulate ? value + Vector512.Load(target) : value).Store(target);
            return;
        }

        for (int i = 0; i < count; i++)
        {
            float value = source[i] * factor;
            target[i] = accumulate ? target[i] + value : value;
        }
    }

    private void PackTwo(float* first, float* second, float factor, ushort* rows, uint* pairs)
    {
        Vector512<float> scale = Vector512.Create(factor);
        for (int d = 0; d < depth; d += Lanes)
        {
            Vector512<uint> low = BFloat16Pairs.RoundBits(Load(first, d) * scale);
            Vector512<uint> high = BFloat16Pairs.RoundBits(Load(second, d) * scale);
            if (rows is not null)
            {
                BFloat16Pairs.StoreUpperHalves(low, rows + d);
                BFloat16Pairs.StoreUpperHalves(high, rows + depth + d);
            }

            if (pairs is not null)
            {
                BFloat16Pairs.Pair(low, high).Store(pairs + d);
            }
        }
    }

    private Vector512<float> Load(float* row, int d) =>
        row is null ? default : BFloat16Pairs.LoadPadded(row + d, problem->HeadDim - d);
}
