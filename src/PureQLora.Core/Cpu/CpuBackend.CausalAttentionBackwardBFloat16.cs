using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    private void AttentionBackwardBFloat16(AttentionProblem* problem, AttentionGradients gradients)
    {
        long tiles = (problem->Rows + AttentionKernels.Width - 1) / AttentionKernels.Width;
        if (problem->Pairs == 0 || tiles == 0)
        {
            return;
        }

        gradients.Cut(problem, tiles, PaddedDepth(problem->HeadDim));
        AttentionPacking packing = new(problem, gradients.Padded);
        long length = problem->Pairs * packing.KeyLength;
        using Scratch packed = Scratch.Rent((3 * length / 2) + gradients.SharesLength(problem));
        gradients.Shares = gradients.NeedsShares ? packed.Floats + (3 * length / 2) : null;
        PackKeysBody pack = new(packing, problem)
        {
            KeyRows = (ushort*)packed.Floats,
            ValueRows = (ushort*)packed.Floats + length,
            KeyPairs = (uint*)((ushort*)packed.Floats + (2 * length)),
        };
        _pool.For(problem->Pairs * (packing.PaddedKeys / 2L), RowGrain(4 * gradients.Padded), ref pack);

        AttentionBackwardBFloat16Body body = new(problem, gradients, packing, pack);
        _pool.For(problem->Pairs * gradients.Parts, 1, ref body);
        AddShares(problem, gradients);
    }

    /// <summary>One item is a part of the rows of one pair of batch entry and key-value head.</summary>
    private readonly struct AttentionBackwardBFloat16Body(
        AttentionProblem* problem, AttentionGradients gradients, AttentionPacking packing, PackKeysBody packed) : IParallelRange
    {
        private const int Width = AttentionKernels.Width;
        private const int KeyTile = AttentionRows<Lanes512, Vector512<float>>.KeyTile;

        public void Run(long start, long end)
        {
            AttentionKernels kernels = AttentionKernels.For(gradients.Padded);
            using Scratch scratch = Scratch.Rent((7L * Width) + (3 * gradients.Padded * Width) + (7L * KeyTile * Width / 2));
            for (long item = start; item < end; item++)
            {
                (int pair, long first, long last) = gradients.Begin(item, problem->Pairs, out float* dk, out float* dv);
                for (long t = first; t < last; t++)
                {
                    AttentionRows<Lanes512, Vector512<float>> rows = new(problem, pair, t * Width, Width, (int*)scratch.Floats);
                    Tile(kernels, rows, scratch.Floats + (2 * Width), dk, dv);
                }
            }
        }

        private void Tile(AttentionKernels kernels, in AttentionRows<Lanes512, Vector512<float>> rows, float* memory, float* dk, float* dv)
        {
            int depth = gradients.Padded;
            long* offsets = (long*)memory;                               // [Width]
            float* logSumExp = memory + (2 * Width);                     // [Width]
            float* delta = logSumExp + Width;                            // [Width], rowsum(dy ∘ y)
            float* scales = delta + Width;                               // [Width]
            float* dq = scales + Width;                                  // [depth, Width]
            uint* q = (uint*)(dq + (depth * Width));                     // [depth / 2, Width] pairs, times scale
            uint* dy = q + (depth * Width / 2);                          // [depth / 2, Width] pairs
            uint* qRows = dy + (depth * Width / 2);                      // [Width / 2, depth] pairs of rows, times scale
            uint* dyRows = qRows + (depth * Width / 2);                  // [Width / 2, depth] pairs of rows
            float* scores = (float*)(dyRows + (depth * Width / 2));      // [KeyTile, Width]
            float* dp = scores + (KeyTile * Width);                      // [KeyTile, Width]
            uint* ds = (uint*)(dp + (KeyTile * Width));                  // [KeyTile / 2, Width] pairs of keys
            ushort* pRows = (ushort*)(ds + (KeyTile * Width / 2));       // [KeyTile, Width]
            ushort* dsRows = pRows + (KeyTile * Width);                  // [KeyTile, Width]
            rows.LoadOffsets(offsets);
            LoadStatistics(rows, offsets, logSumExp, delta);
            packing.PackRows(problem->Q, offsets, problem->Scale, (ushort*)scores, q, qRows);
            packing.PackRows(gradients.Dy, offsets, 1f, (ushort*)scores, dy, dyRows);
            new Span<float>(scales, Width).Fill(problem->Scale);
            new Span<float>(dq, depth * Width).Clear();
            for (int key = rows.FirstKey; key < rows.EndKey; key += KeyTile)
            {
                int count = rows.KeysFrom(key);
                (bool any, bool all) = rows.Sees(key, count);
                if (!any)
                {
                    continue;
                }

                long offset = (rows.Pair * packing.KeyLength) + ((long)key * depth);
                kernels.Scores.Run(packed.KeyRows + offset, q, scores, count, depth / 2);
                if (!all)
                {
                    rows.Mask(scores, key, count);
                }

                kernels.Scores.Run(packed.ValueRows + offset, dy, dp, count, depth / 2);
                for (int lane = 0; lane < Width; lane += Vector512<float>.Count)
                {
                    Differentiate(scores + lane, dp + lane, count, logSumExp + lane, delta + lane, ds + lane, pRows + lane, dsRows + lane);
                }

                if (gradients.Shares is not null)
                {
                    kernels.KeyGradient.Run(dsRows, qRows, dk + ((long)key * depth), count, Width / 2);
                    kernels.KeyGradient.Run(pRows, dyRows, dv + ((long)key * depth), count, Width / 2);
                }

                if (gradients.Dq is not null)
                {
                    kernels.QueryGradient.Run((ushort*)(packed.KeyPairs + (offset / 2)), ds, dq, depth, (count + 1) / 2);
                }
            }

            if (gradients.Dq is not null)
            {
                packing.StoreRows(dq, scales, offsets, gradients.AddsDq, gradients.Dq);
            }
        }

        /// <summary>For one vector of rows: p = exp(score − logSumExp) and ds = p · (dp − delta), rounded; ds also as pairs of keys.</summary>
        private static void Differentiate(
            float* scores, float* dp, int count, float* logSumExp, float* delta, uint* ds, ushort* pRows, ushort* dsRows)
        {
            (Vector512<float> statistic, Vector512<float> shift) = (Vector512.Load(logSumExp), Vector512.Load(delta));
            Vector512<uint> even = default;
            for (int i = 0; i < count; i++)
            {
                Vector512<float> probability = Exponential<Lanes512, Vector512<float>>.Of(Vector512.Load(scores + (i * Width)) - statistic);
                Vector512<uint> gradient = BFloat16Pairs.RoundBits(probability * (Vector512.Load(dp + (i * Width)) - shift));
                BFloat16Pairs.StoreUpperHalves(BFloat16Pairs.RoundBits(probability), pRows + (i * Width));
                BFloat16Pairs.StoreUpperHalves(gradient, dsRows + (i * Width));
                if (i % 2 == 0)
                {
                    even = gradient;
                }

                // The last key of an odd number stands alone in its pair, until it is written again with its neighbour otherwise.
                BFloat16Pairs.Pair(even, i % 2 == 0 ? default : gradient).Store(ds + (i / 2 * Width));
            }
        }

        private void LoadStatistics(in AttentionRows<Lanes512, Vector512<float>> rows, long* offsets, float* logSumExp, float* delta)
        {
            // Lanes without a row get probability 0 through a log-sum-exp of +∞.
            new Span<float>(logSumExp, Width).Fill(float.PositiveInfinity);
            new Span<float>(delta, Width).Clear();
            for (int lane = 0; lane < rows.Count; lane++)
            {
                logSumExp[lane] = problem->LogSumExp[problem->StatisticOffset(rows.Pair, rows.First + lane)];
                float* dy = gradients.Dy + offsets[lane];
                float* y = problem->Y + offsets[lane];
                Vector512<float> sum = default;
                for (int d = 0; d < problem->HeadDim; d += Vector512<float>.Count)
                {
                    int count = problem->HeadDim - d;
                    sum = Lanes512.MultiplyAdd(BFloat16Pairs.LoadPadded(dy + d, count), BFloat16Pairs.LoadPadded(y + d, count), sum);
                }

                delta[lane] = Lanes512.Sum(sum);
            }
        }
    }
}
