using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    private void AttentionForwardBFloat16(AttentionProblem* problem)
    {
        int depth = PaddedDepth(problem->HeadDim);
        AttentionPacking packing = new(problem, depth);
        using Scratch packed = Scratch.Rent(problem->Pairs * packing.KeyLength);
        ushort* keys = (ushort*)packed.Floats;                                                // [pairs, keys, depth]
        uint* values = (uint*)(keys + (problem->Pairs * packing.KeyLength));                  // [pairs, keys / 2, depth] pairs
        PackKeysBody pack = new(packing, problem) { KeyRows = keys, ValuePairs = values };
        _pool.For(problem->Pairs * (packing.PaddedKeys / 2L), RowGrain(4 * depth), ref pack);

        long tiles = (problem->Rows + AttentionKernels.Width - 1) / AttentionKernels.Width;
        AttentionForwardBFloat16Body body = new(problem, packing, depth, tiles, keys, values);
        _pool.For(problem->Pairs * tiles, 1, ref body);
    }

    /// <summary>Heads are padded to whole vectors.</summary>
    private static int PaddedDepth(int headDim) => (headDim + Vector512<float>.Count - 1) / Vector512<float>.Count * Vector512<float>.Count;

    /// <summary>One item is two keys of a pair of batch entry and head; what is null is left out.</summary>
    private struct PackKeysBody(AttentionPacking packing, AttentionProblem* problem) : IParallelRange
    {
        public ushort* KeyRows;
        public uint* KeyPairs;
        public ushort* ValueRows;
        public uint* ValuePairs;

        public readonly void Run(long start, long end)
        {
            long half = packing.PaddedKeys / 2;
            for (long item = start; item < end; item++)
            {
                (int pair, int key) = ((int)(item / half), (int)(item % half * 2));
                long offset = pair * packing.KeyLength;
                packing.PackKeys(problem->K, pair, key, KeyRows is null ? null : KeyRows + offset, KeyPairs is null ? null : KeyPairs + (offset / 2));
                packing.PackKeys(problem->V, pair, key, ValueRows is null ? null : ValueRows + offset, ValuePairs is null ? null : ValuePairs + (offset / 2));
            }
        }
    }

    /// <summary>One item is a tile of rows of one pair of batch entry and key-value head.</summary>
    private readonly struct AttentionForwardBFloat16Body(
        AttentionProblem* problem, AttentionPacking packing, int depth, long tiles, ushort* keys, uint* values) : IParallelRange
    {
        private const int Width = AttentionKernels.Width;
        private const int KeyTile = AttentionRows<Lanes512, Vector512<float>>.KeyTile;

        public void Run(long start, long end)
        {
            AttentionKernels kernels = AttentionKernels.For(depth);
            using Scratch scratch = Scratch.Rent((7L * Width) + (2 * depth * Width) + (KeyTile * Width * 3 / 2));
            for (long item = start; item < end; item++)
            {
                // The last rows see the most keys; they go first, so that no thread is left alone with them.
                long tile = tiles - 1 - (item / problem->Pairs);
                AttentionRows<Lanes512, Vector512<float>> rows = new(problem, (int)(item % problem->Pairs), tile * Width, Width, (int*)scratch.Floats);
                Tile(kernels, rows, scratch.Floats + (2 * Width));
            }
        }

        private void Tile(AttentionKernels kernels, in AttentionRows<Lanes512, Vector512<float>> rows, float* memory)
        {
            long* offsets = (long*)memory;                               // [Width]
            float* maxima = memory + (2 * Width);                        // [Width], running maximum of the scores
            float* sums = maxima + Width;                                // [Width], Σ exp(score − maximum)
            float* factors = sums + Width;                               // [Width], exp(old maximum − new)
            float* output = factors + Width;                             // [depth, Width], Σ exp(score − maximum) · v
            uint* q = (uint*)(output + (depth * Width));                 // [depth / 2, Width] pairs, times scale
            float* scores = (float*)q + (depth * Width / 2);             // [KeyTile, Width]
            uint* p = (uint*)(scores + (KeyTile * Width));               // [KeyTile / 2, Width] pairs
            rows.LoadOffsets(offsets);
            packing.PackRows(problem->Q, offsets, problem->Scale, (ushort*)scores, q, null);
            new Span<float>(maxima, Width).Fill(float.NegativeInfinity);
            new Span<float>(sums, Width).Clear();
            new Span<float>(output, depth * Width).Clear();
            for (int key = rows.FirstKey; key < rows.EndKey; key += KeyTile)
            {
                int count = rows.KeysFrom(key);
                (bool any, bool all) = rows.Sees(key, count);
                if (!any)
                {
                    continue;
                }

                long offset = (rows.Pair * packing.KeyLength) + ((long)key * depth);
                kernels.Scores.Run(keys + offset, q, scores, count, depth / 2);
                if (!all)
                {
                    rows.Mask(scores, key, count);
                }

                for (int lane = 0; lane < Width; lane += Vector512<float>.Count)
                {
                    Accumulate(scores + lane, count, maxima + lane, sums + lane, factors + lane, p + lane);
                }

                kernels.Output.Run((ushort*)(values + (offset / 2)), p, output, depth, (count + 1) / 2, factors);
            }

            Finish(rows, maxima, sums, factors);
            packing.StoreRows(output, factors, offsets, accumulate: false, problem->Y);
        }

        /// <summary>Online softmax for one vector of rows: exp(score − maximum) as pairs of keys; updates maximum and sum.</summary>
        private static void Accumulate(float* scores, int count, float* maxima, float* sums, float* factors, uint* p)
        {
            Vector512<float> old = Vector512.Load(maxima);
            Vector512<float> maximum = old;
            for (int i = 0; i < count; i++)
            {
                maximum = Lanes512.Max(maximum, Vector512.Load(scores + (i * Width)));
            }

            maximum.Store(maxima);

            // A row that has seen nothing yet keeps −∞; subtracting 0 instead makes its exponentials 0 and not NaN.
            Vector512<float> subtrahend = Lanes512.SelectLess(maximum, Vector512.Create(float.MinValue), default, maximum);
            Vector512<float> factor = Exponential<Lanes512, Vector512<float>>.Of(old - subtrahend);
            Vector512<float> sum = default;
            for (int i = 0; i < count; i += 2)
            {
                Vector512<float> first = Exponential<Lanes512, Vector512<float>>.Of(Vector512.Load(scores + (i * Width)) - subtrahend);
                Vector512<float> second = i + 1 < count
                    ? Exponential<Lanes512, Vector512<float>>.Of(Vector512.Load(scores + ((i + 1) * Width)) - subtrahend)
                    : default;
                sum += first + second;
                BFloat16Pairs.Pair(BFloat16Pairs.RoundBits(first), BFloat16Pairs.RoundBits(second)).Store(p + (i / 2 * Width));
            }

            factor.Store(factors);
            Lanes512.MultiplyAdd(Vector512.Load(sums), factor, sum).Store(sums);
        }

        /// <summary>Stores the log-sum-exp of each row; factors become 1 / sum.</summary>
        private void Finish(in AttentionRows<Lanes512, Vector512<float>> rows, float* maxima, float* sums, float* factors)
        {
            for (int lane = 0; lane < rows.Count; lane++)
            {
                problem->LogSumExp[problem->StatisticOffset(rows.Pair, rows.First + lane)] = maxima[lane] + MathF.Log(sums[lane]);
            }

            for (int lane = 0; lane < Width; lane += Vector512<float>.Count)
            {
                (Vector512<float>.One / Vector512.Load(sums + lane)).Store(factors + lane);
            }
        }
    }
}
