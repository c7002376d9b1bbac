using System.Diagnostics;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void CausalAttentionForward(Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale, Tensor y, Tensor logSumExp, Precision precision)
    {
        AttentionProblem problem = new(q, k, v, mask, scale, y, logSumExp);
        // Scalar code has no lanes to run along a head; its tiles of two rows are never empty.
        if (problem.Rows <= AttentionDecodeRows && _tier != CpuTier.Scalar)
        {
            AttentionDecode(&problem);
            return;
        }

        problem.Rounds = precision == Precision.BFloat16;
        if (problem.Rounds && _tier >= CpuTier.Avx512BFloat16)
        {
            AttentionForwardBFloat16(&problem);
            return;
        }

        using Scratch rounded = RoundKeys(&problem);

        switch (VectorBits)
        {
            case 512:
                AttentionForward<Lanes512, Vector512<float>>(&problem);
                break;
            case 256:
                AttentionForward<Lanes256, Vector256<float>>(&problem);
                break;
            case 32:
                AttentionForward<LanesScalar, float>(&problem);
                break;
            default:
                AttentionForward<Lanes128, Vector128<float>>(&problem);
                break;
        }
    }

    /// <summary>Where the products round, replaces keys and values by rounded copies; the rest is rounded as it is loaded.</summary>
    private Scratch RoundKeys(AttentionProblem* problem)
    {
        long stride = problem->KeyValueHeads * (long)problem->HeadDim;
        long length = problem->Batch * problem->Capacity * stride;
        Scratch copies = Scratch.Rent(problem->Rounds ? 2 * length : 0);
        if (problem->Rounds)
        {
            RoundKeysBody body = new(problem->K, problem->V, copies.Floats, copies.Floats + length, problem->KeyCount, problem->Capacity, stride);
            _pool.For((long)problem->Batch * problem->KeyCount, RowGrain(2 * stride), ref body);
            problem->K = copies.Floats;
            problem->V = copies.Floats + length;
        }

        return copies;
    }

    /// <summary>One item is a valid key of one batch entry.</summary>
    private readonly struct RoundKeysBody(float* k, float* v, float* roundedK, float* roundedV, int keyCount, int capacity, long stride) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long item = start; item < end; item++)
            {
                long offset = ((item / keyCount * capacity) + (item % keyCount)) * stride;
                BFloat16Vectors.Round(k + offset, roundedK + offset, stride);
                BFloat16Vectors.Round(v + offset, roundedV + offset, stride);
            }
        }
    }

    private void AttentionForward<TLanes, TVector>(AttentionProblem* problem)
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        int width = AttentionProducts<TLanes, TVector>.Width;
        long tiles = (problem->Rows + width - 1) / width;
        AttentionForwardBody<TLanes, TVector> body = new(problem, tiles);
        _pool.For(problem->Pairs * tiles, 1, ref body);
    }

    /// <summary>One item is a tile of rows of one pair of batch entry and key-value head.</summary>
    private readonly struct AttentionForwardBody<TLanes, TVector>(AttentionProblem* problem, long tiles) : IParallelRange
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        public void Run(long start, long end)
        {
            int width = AttentionProducts<TLanes, TVector>.Width;
            int columns = problem->HeadDim * width;
            using Scratch scratch = Scratch.Rent((2L * columns) + (AttentionRows<TLanes, TVector>.KeyTile * width) + (5L * width));
            for (long item = start; item < end; item++)
            {
                // The last rows see the most keys; they go first, so that no thread is left alone with them.
                long tile = tiles - 1 - (item / problem->Pairs);
                AttentionRows<TLanes, TVector> rows = new(problem, (int)(item % problem->Pairs), tile * width, width, (int*)scratch.Floats);
                Tile(rows, scratch.Floats + (2 * width));
            }
        }

        private void Tile(in AttentionRows<TLanes, TVector> rows, float* memory)
        {
            int width = AttentionProducts<TLanes, TVector>.Width;
            int depth = problem->HeadDim;
            float* maxima = memory;                           // [Width], running maximum of the scores
            float* sums = maxima + width;                     // [Width], Σ exp(score − maximum)
            float* factors = sums + width;                    // [Width], exp(old maximum − new)
            float* q = factors + width;                       // [headDim, Width], times scale
            float* output = q + (depth * width);              // [headDim, Width], Σ exp(score − maximum) · v
            float* scores = output + (depth * width);         // [KeyTile, Width]
            new Span<float>(maxima, width).Fill(float.NegativeInfinity);
            new Span<float>(sums, width).Clear();
            new Span<float>(output, depth * width).Clear();
            rows.LoadColumns(problem->Q, problem->Scale, q);

            float* k = problem->K + problem->KeyOffset(rows.Pair);
            float* v = problem->V + problem->KeyOffset(rows.Pair);
            long stride = problem->KeyStride;
            for (int key = rows.FirstKey; key < rows.EndKey; key += AttentionRows<TLanes, TVector>.KeyTile)
            {
                int count = rows.KeysFrom(key);
                (bool any, bool all) = rows.Sees(key, count);
                if (!any)
                {
                    continue;
                }

                AttentionProducts<TLanes, TVector>.Dots(k + (key * stride), stride, count, depth, q, scores);
                if (!all)
                {
                    rows.Mask(scores, key, count);
                }

                Accumulate(scores, count, maxima, sums, factors);
                Accumulate(scores + TLanes.Count, count, maxima + TLanes.Count, sums + TLanes.Count, factors + TLanes.Count);
                if (problem->Rounds)
                {
                    BFloat16Vectors.Round(scores, scores, count * width);
                }

                AttentionProducts<TLanes, TVector>.Combine(v + (key * stride), stride, count, depth, scores, factors, output);
            }

            Finish(rows, maxima, sums, output);
        }

        /// <summary>Online softmax for one vector of rows: turns scores into exp(score − maximum), and updates maximum and sum.</summary>
        private static void Accumulate(float* scores, int count, float* maxima, float* sums, float* factors)
        {
            int width = 2 * TLanes.Count;
            TVector old = TLanes.Load(maxima);
            TVector maximum = old;
            for (int i = 0; i < count; i++)
            {
                maximum = TLanes.Max(maximum, TLanes.Load(scores + (i * width)));
            }

            TLanes.Store(maximum, maxima);

            // A row that has seen nothing yet keeps −∞; subtracting 0 instead makes its exponentials 0 and not NaN.
            TVector subtrahend = TLanes.SelectLess(maximum, TLanes.Broadcast(float.MinValue), default, maximum);
            TVector factor = Exponential<TLanes, TVector>.Of(TLanes.Subtract(old, subtrahend));
            TVector sum = default;
            for (int i = 0; i < count; i++)
            {
                TVector p = Exponential<TLanes, TVector>.Of(TLanes.Subtract(TLanes.Load(scores + (i * width)), subtrahend));
                sum = TLanes.Add(sum, p);
                TLanes.Store(p, scores + (i * width));
            }

            TLanes.Store(factor, factors);
            TLanes.Store(TLanes.MultiplyAdd(TLanes.Load(sums), factor, sum), sums);
        }

        private void Finish(in AttentionRows<TLanes, TVector> rows, float* maxima, float* sums, float* output)
        {
            int width = AttentionProducts<TLanes, TVector>.Width;
            for (int lane = 0; lane < rows.Count; lane++)
            {
                Debug.Assert(sums[lane] != 0f, "a query sees at least itself");
                float inverse = 1f / sums[lane];
                float* y = problem->Y + problem->RowOffset(rows.Pair, rows.First + lane);
                for (int d = 0; d < problem->HeadDim; d++)
                {
                    y[d] = output[(d * width) + lane] * inverse;
                }

                problem->LogSumExp[problem->StatisticOffset(rows.Pair, rows.First + lane)] = maxima[lane] + MathF.Log(sums[lane]);
            }
        }
    }
}
