using System.Numerics.Tensors;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Up to this many rows lanes run along the head: a tile of rows would be mostly empty.</summary>
    private const int AttentionDecodeRows = 8;

    /// <summary>Tasks that decoding has at least, where the cache is long enough.</summary>
    private const int AttentionDecodeTasks = 32;

    /// <summary>Keys of the shortest part that is worth a task.</summary>
    private const int AttentionDecodeKeys = 4 * AttentionRows<Lanes128, Vector128<float>>.KeyTile;

    private void AttentionDecode(AttentionProblem* problem)
    {
        // The widest vector that a head is a multiple of.
        int bits = VectorBits;
        while (bits > 128 && problem->HeadDim % (bits / 32) != 0)
        {
            bits /= 2;
        }

        switch (bits)
        {
            case 512:
                AttentionDecode<Lanes512, Vector512<float>>(problem);
                break;
            case 256:
                AttentionDecode<Lanes256, Vector256<float>>(problem);
                break;
            default:
                AttentionDecode<Lanes128, Vector128<float>>(problem);
                break;
        }
    }

    private void AttentionDecode<TLanes, TVector>(AttentionProblem* problem)
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        if (problem->Pairs == 0 || problem->Rows == 0)
        {
            return;
        }

        // A long cache is read in parts, each by a task with a softmax of its own; they are joined in order.
        int wanted = (AttentionDecodeTasks + problem->Pairs - 1) / problem->Pairs;
        int parts = Math.Clamp(problem->KeyCount / AttentionDecodeKeys, 1, wanted);
        using Scratch partial = Scratch.Rent(problem->Pairs * parts * problem->Rows * (problem->HeadDim + 2));
        AttentionDecodeBody<TLanes, TVector> body = new(problem, parts, partial.Floats);
        _pool.For((long)problem->Pairs * parts, 1, ref body);
        AttentionJoinBody join = new(problem, parts, partial.Floats);
        _pool.For(problem->Pairs, RowGrain(parts * problem->Rows * problem->HeadDim), ref join);
    }

    /// <summary>One item is a part of the keys of one pair; it writes Σ exp(score − maximum) · v, maxima and sums of all rows.</summary>
    private readonly struct AttentionDecodeBody<TLanes, TVector>(AttentionProblem* problem, int parts, float* partial) : IParallelRange
        where TLanes : struct, ILanes<TVector>
        where TVector : unmanaged
    {
        private const int Tile = AttentionRows<Lanes128, Vector128<float>>.KeyTile;

        public void Run(long start, long end)
        {
            int count = (int)problem->Rows;
            int width = AttentionProducts<TLanes, TVector>.Width;
            using Scratch scratch = Scratch.Rent((2L * width) + AttentionDecodeRows + (count * (problem->HeadDim + Tile)) + (Tile * problem->HeadDim));
            for (long item = start; item < end; item++)
            {
                float* output = partial + (item * count * (problem->HeadDim + 2));
                AttentionRows<TLanes, TVector> rows = new(problem, (int)(item / parts), 0, width, (int*)scratch.Floats);
                Part(rows, (int)(item % parts), scratch.Floats + (2 * width), output);
            }
        }

        private void Part(in AttentionRows<TLanes, TVector> rows, int part, float* memory, float* output)
        {
            (int count, int depth, long stride) = (rows.Count, problem->HeadDim, problem->KeyStride);
            float* maxima = output + (count * depth);              // [rows]
            float* sums = maxima + count;                          // [rows]
            float* scores = memory;                                // [rows, KeyTile]
            float* q = scores + (count * Tile);                    // [rows, headDim], times scale
            float* values = q + (count * depth);                   // [KeyTile, headDim]
            float* factors = values + (Tile * depth);              // [rows], exp(old maximum − new)
            new Span<float>(output, count * depth).Clear();
            new Span<float>(maxima, count).Fill(float.NegativeInfinity);
            new Span<float>(sums, count).Clear();
            rows.LoadRows(problem->Q, problem->Scale, depth, q);

            float* k = problem->K + problem->KeyOffset(rows.Pair);
            float* v = problem->V + problem->KeyOffset(rows.Pair);
            long tiles = (rows.EndKey - rows.FirstKey + Tile - 1) / Tile;
            int end = rows.FirstKey + ((int)(tiles * (part + 1) / parts) * Tile);
            for (int key = rows.FirstKey + ((int)(tiles * part / parts) * Tile); key < end; key += Tile)
            {
                int keys = rows.KeysFrom(key);
                Prefetch(v + (key * stride), stride, keys, depth);
                Prefetch(k + ((key + Tile) * stride), stride, Math.Min(Tile, end - key - Tile), depth);
                (bool any, bool all) = rows.Sees(key, keys);
                if (!any)
                {
                    continue;
                }

                AttentionVectorProducts<TLanes, TVector>.Dots(q, count, depth, k + (key * stride), stride, keys, scores, Tile);
                if (!all)
                {
                    rows.MaskRows(scores, key, keys);
                }

                for (int row = 0; row < count; row++)
                {
                    factors[row] = Accumulate(scores + (row * Tile), keys, maxima + row, sums + row);
                }

                // Read as one stream: column by column the cache's strides are often powers of two, which share few cache lines.
                for (int i = 0; i < keys; i++)
                {
                    float* from = v + ((key + i) * stride);
                    for (int d = 0; d < depth; d += TLanes.Count)
                    {
                        TLanes.Store(TLanes.Load(from + d), values + (i * depth) + d);
                    }
                }

                AttentionVectorProducts<TLanes, TVector>.Combine(scores, Tile, count, factors, values, depth, keys, depth, output);
            }
        }

        /// <summary>Asks for rows that are needed a tile later: short pieces a stride apart are not what processors foresee.</summary>
        private static void Prefetch(float* vectors, long stride, int count, int depth)
        {
            for (int i = 0; Sse.IsSupported && i < count; i++)
            {
                for (int d = 0; d < depth; d += CpuStorage.Alignment / sizeof(float))
                {
                    Sse.Prefetch1(vectors + (i * stride) + d);
                }
            }
        }

        /// <summary>Online softmax for one row: turns scores into exp(score − maximum), and updates maximum and sum.</summary>
        /// <returns>exp(old maximum − new).</returns>
        private static float Accumulate(float* scores, int count, float* maximum, float* sum)
        {
            float old = *maximum;
            float highest = old;
            for (int i = 0; i < count; i++)
            {
                highest = scores[i] > highest ? scores[i] : highest;
            }

            // A row that has seen nothing yet keeps −∞; subtracting 0 instead makes its exponentials 0 and not NaN.
            float subtrahend = highest == float.NegativeInfinity ? 0f : highest;
            TVector total = default;
            new Span<float>(scores + count, Tile - count).Fill(float.NegativeInfinity);
            for (int i = 0; i < count; i += TLanes.Count)
            {
                TVector p = Exponential<TLanes, TVector>.Of(TLanes.Subtract(TLanes.Load(scores + i), TLanes.Broadcast(subtrahend)));
                TLanes.Store(p, scores + i);
                total = TLanes.Add(total, p);
            }

            float factor = MathF.Exp(old - subtrahend);
            *sum = (*sum * factor) + TLanes.Sum(total);
            *maximum = highest;
            return factor;
        }
    }

    /// <summary>Joins the parts of a range of pairs: y = Σ exp(mᵢ − m) · oᵢ / Σ exp(mᵢ − m) · lᵢ.</summary>
    private readonly struct AttentionJoinBody(AttentionProblem* problem, int parts, float* partial) : IParallelRange
    {
        public void Run(long start, long end)
        {
            long count = problem->Rows;
            for (long pair = start; pair < end; pair++)
            {
                for (long row = 0; row < count; row++)
                {
                    Row((int)pair, row, count, problem->HeadDim);
                }
            }
        }

        private void Row(int pair, long row, long count, int depth)
        {
            long size = count * (depth + 2);
            float* first = partial + ((long)pair * parts * size);
            float maximum = float.NegativeInfinity;
            for (int part = 0; part < parts; part++)
            {
                maximum = MathF.Max(maximum, first[(part * size) + (count * depth) + row]);
            }

            float sum = 0f;
            Span<float> y = new(problem->Y + problem->RowOffset(pair, row), depth);
            y.Clear();
            for (int part = 0; part < parts; part++)
            {
                float* statistics = first + (part * size) + (count * depth);
                float factor = MathF.Exp(statistics[row] - maximum);
                sum += factor * statistics[count + row];
                TensorPrimitives.MultiplyAdd(new ReadOnlySpan<float>(first + (part * size) + (row * depth), depth), factor, y, y);
            }

            TensorPrimitives.Multiply(y, 1f / sum, y);
            problem->LogSumExp[problem->StatisticOffset(pair, row)] = maximum + MathF.Log(sum);
        }
    }
}
