using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void CausalAttentionBackward(
        Tensor dy, Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale, Tensor y, Tensor logSumExp, GradientTarget dq, Tensor? dk, Tensor? dv, Precision precision)
    {
        AttentionProblem problem = new(q, k, v, mask, scale, y, logSumExp);
        problem.Rounds = precision == Precision.BFloat16 && problem.Rows > AttentionDecodeRows;
        AttentionGradients gradients = new() { Dy = Floats(dy), Dq = Floats(dq.Tensor), AddsDq = dq.Accumulate, Dk = Floats(dk), Dv = Floats(dv) };
        if (problem.Rounds && _tier >= CpuTier.Avx512BFloat16)
        {
            AttentionBackwardBFloat16(&problem, gradients);
            return;
        }

        using Scratch rounded = RoundKeys(&problem);
        switch (VectorBits)
        {
            case 512:
                AttentionBackward<Lanes512, Vector512<float>>(&problem, gradients);
                break;
            case 256:
                AttentionBackward<Lanes256, Vector256<float>>(&problem, gradients);
                break;
            case 32:
                AttentionBackward<LanesScalar, float>(&problem, gradients);
                break;
            default:
                AttentionBackward<Lanes128, Vector128<float>>(&problem, gradients);
                break;
        }
    }

    private void AttentionBackward<TLanes, TVector>(AttentionProblem* problem, AttentionGradients gradients)
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        int width = AttentionProducts<TLanes, TVector>.Width;
        long tiles = (problem->Rows + width - 1) / width;
        if (problem->Pairs == 0 || tiles == 0)
        {
            return;
        }

        gradients.Cut(problem, tiles, (problem->HeadDim + width - 1) / width * width);
        using Scratch shares = Scratch.Rent(gradients.SharesLength(problem));
        gradients.Shares = shares.Floats;
        AttentionBackwardBody<TLanes, TVector> body = new(problem, gradients);
        _pool.For(problem->Pairs * gradients.Parts, 1, ref body);
        AddShares(problem, gradients);
    }

    private void AddShares(AttentionProblem* problem, AttentionGradients gradients)
    {
        if (gradients.NeedsShares)
        {
            AttentionSharesBody sum = new(problem, gradients);
            _pool.For((long)problem->Pairs * problem->KeyCount, RowGrain(2 * gradients.Parts * problem->HeadDim), ref sum);
        }
    }

    /// <summary>One item is a part of the rows of one pair.</summary>
    private readonly struct AttentionBackwardBody<TLanes, TVector>(AttentionProblem* problem, AttentionGradients gradients) : IParallelRange
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        public void Run(long start, long end)
        {
            int width = AttentionProducts<TLanes, TVector>.Width;
            long columns = problem->HeadDim * width;
            long packed = gradients.Padded * width;
            long tile = AttentionRows<TLanes, TVector>.KeyTile * width;
            using Scratch scratch = Scratch.Rent((5L * width) + (3 * columns) + (2 * packed) + (2 * tile));
            for (long item = start; item < end; item++)
            {
                (int pair, long first, long last) = gradients.Begin(item, problem->Pairs, out float* dk, out float* dv);
                for (long t = first; t < last; t++)
                {
                    AttentionRows<TLanes, TVector> rows = new(problem, pair, t * width, width, (int*)scratch.Floats);
                    Tile(rows, scratch.Floats + (2 * width), dk, dv);
                }
            }
        }

        private void Tile(in AttentionRows<TLanes, TVector> rows, float* memory, float* dk, float* dv)
        {
            int width = AttentionProducts<TLanes, TVector>.Width;
            (int depth, int padded, long stride) = (problem->HeadDim, gradients.Padded, problem->KeyStride);
            float* logSumExp = memory;                                                // [Width]
            float* delta = logSumExp + width;                                         // [Width], rowsum(dy ∘ y)
            float* ones = delta + width;                                              // [Width]
            float* q = ones + width;                                                  // [headDim, Width], times scale
            float* dy = q + (depth * width);                                          // [headDim, Width]
            float* dq = dy + (depth * width);                                         // [headDim, Width]
            float* qRows = dq + (depth * width);                                      // [Width, padded], times scale
            float* dyRows = qRows + (padded * width);                                 // [Width, padded]
            float* p = dyRows + (padded * width);                                     // [KeyTile, Width]
            float* ds = p + (AttentionRows<TLanes, TVector>.KeyTile * width);         // [KeyTile, Width]
            LoadStatistics(rows, logSumExp, delta);
            new Span<float>(ones, width).Fill(1f);
            new Span<float>(dq, depth * width).Clear();
            rows.LoadColumns(problem->Q, problem->Scale, q);
            rows.LoadColumns(gradients.Dy, 1f, dy);
            rows.LoadRows(problem->Q, problem->Scale, padded, qRows);
            rows.LoadRows(gradients.Dy, 1f, padded, dyRows);

            float* k = problem->K + problem->KeyOffset(rows.Pair);
            float* v = problem->V + problem->KeyOffset(rows.Pair);
            for (int key = rows.FirstKey; key < rows.EndKey; key += AttentionRows<TLanes, TVector>.KeyTile)
            {
                int count = rows.KeysFrom(key);
                (bool any, bool all) = rows.Sees(key, count);
                if (!any)
                {
                    continue;
                }

                AttentionProducts<TLanes, TVector>.Dots(k + (key * stride), stride, count, depth, q, p);
                if (!all)
                {
                    rows.Mask(p, key, count);
                }

                AttentionProducts<TLanes, TVector>.Dots(v + (key * stride), stride, count, depth, dy, ds);
                Differentiate(p, ds, count, logSumExp, delta);
                Differentiate(p + TLanes.Count, ds + TLanes.Count, count, logSumExp + TLanes.Count, delta + TLanes.Count);
                if (problem->Rounds)
                {
                    BFloat16Vectors.Round(p, p, count * width);
                    BFloat16Vectors.Round(ds, ds, count * width);
                }

                if (gradients.Shares is not null)
                {
                    AttentionProducts<TLanes, TVector>.AddTransposed(ds, count, qRows, rows.Count, padded, dk + ((long)key * padded));
                    AttentionProducts<TLanes, TVector>.AddTransposed(p, count, dyRows, rows.Count, padded, dv + ((long)key * padded));
                }

                if (gradients.Dq is not null)
                {
                    AttentionProducts<TLanes, TVector>.Combine(k + (key * stride), stride, count, depth, ds, ones, dq);
                }
            }

            AddQueryGradient(rows, dq);
        }

        /// <summary>For one vector of rows: scores become p = exp(score − logSumExp), and dp becomes ds = p · (dp − delta).</summary>
        private static void Differentiate(float* p, float* ds, int count, float* logSumExp, float* delta)
        {
            int width = 2 * TLanes.Count;
            (TVector statistic, TVector shift) = (TLanes.Load(logSumExp), TLanes.Load(delta));
            for (int i = 0; i < count; i++)
            {
                TVector probability = Exponential<TLanes, TVector>.Of(TLanes.Subtract(TLanes.Load(p + (i * width)), statistic));
                TLanes.Store(probability, p + (i * width));
                TLanes.Store(TLanes.Multiply(probability, TLanes.Subtract(TLanes.Load(ds + (i * width)), shift)), ds + (i * width));
            }
        }

        private void LoadStatistics(in AttentionRows<TLanes, TVector> rows, float* logSumExp, float* delta)
        {
            // Lanes without a row get probability 0 through a log-sum-exp of +∞.
            int width = AttentionProducts<TLanes, TVector>.Width;
            new Span<float>(logSumExp, width).Fill(float.PositiveInfinity);
            new Span<float>(delta, width).Clear();
            for (int lane = 0; lane < rows.Count; lane++)
            {
                long offset = problem->RowOffset(rows.Pair, rows.First + lane);
                logSumExp[lane] = problem->LogSumExp[problem->StatisticOffset(rows.Pair, rows.First + lane)];
                delta[lane] = TensorPrimitives.Dot(
                    new ReadOnlySpan<float>(gradients.Dy + offset, problem->HeadDim), new ReadOnlySpan<float>(problem->Y + offset, problem->HeadDim));
            }
        }

        private void AddQueryGradient(in AttentionRows<TLanes, TVector> rows, float* columns)
        {
            int width = AttentionProducts<TLanes, TVector>.Width;
            for (int lane = 0; gradients.Dq is not null && lane < rows.Count; lane++)
            {
                float* dq = gradients.Dq + problem->RowOffset(rows.Pair, rows.First + lane);
                for (int d = 0; d < problem->HeadDim; d++)
                {
                    float share = problem->Scale * columns[(d * width) + lane];
                    dq[d] = gradients.AddsDq ? dq[d] + share : share;
                }
            }
        }
    }

    /// <summary>Adds the shares of all parts, in order, to dk and dv; one item is a key of one pair.</summary>
    private readonly struct AttentionSharesBody(AttentionProblem* problem, AttentionGradients gradients) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long item = start; item < end; item++)
            {
                (long pair, long key) = (item / problem->KeyCount, item % problem->KeyCount);
                long offset = problem->KeyOffset((int)pair) + (key * problem->KeyStride);
                for (long part = 0; part < gradients.Parts; part++)
                {
                    float* share = gradients.Shares + (2 * gradients.ShareLength * ((pair * gradients.Parts) + part)) + (key * gradients.Padded);
                    Add(gradients.Dk, offset, share);
                    Add(gradients.Dv, offset, share + gradients.ShareLength);
                }
            }
        }

        private void Add(float* gradient, long offset, float* share)
        {
            if (gradient is not null)
            {
                Span<float> target = new(gradient + offset, problem->HeadDim);
                TensorPrimitives.Add(target, new ReadOnlySpan<float>(share, problem->HeadDim), target);
            }
        }
    }
}
