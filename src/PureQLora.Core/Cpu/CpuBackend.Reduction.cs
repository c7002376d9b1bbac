using System.Numerics;
using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Columns that one piece of a sum over rows covers.</summary>
    private const int ColumnBlock = 256;

    /// <inheritdoc/>
    public void ReduceSum(Tensor x, int axis, double scale, Tensor y)
    {
        (long outer, long extent, long inner) = x.Shape.Around(axis);
        if (inner != 1)
        {
            SumRowsBody rows = new(Floats(x), extent, inner, scale, Floats(y));
            _pool.For(outer * ColumnBlocks(inner), Math.Max(1, ElementGrain / (ColumnBlock * Math.Max(1, extent))), ref rows);
            return;
        }

        long parts = Math.Max(1, (extent + ElementGrain - 1) / ElementGrain);
        using Scratch scratch = Scratch.Rent(2 * outer * parts);
        double* sums = (double*)scratch.Floats;
        SumPartsBody body = new(Floats(x), extent, parts, sums);
        _pool.For(outer * parts, Math.Max(1, ElementGrain / Math.Max(1, extent)), ref body);
        float* results = Floats(y);
        for (long row = 0; row < outer; row++)
        {
            double total = 0;
            for (long part = 0; part < parts; part++)
            {
                total += sums[(row * parts) + part];
            }

            results[row] = (float)(total * scale);
        }
    }

    /// <inheritdoc/>
    public void ReduceSumBackward(Tensor dy, int axis, double scale, Tensor dx)
    {
        (_, long extent, long inner) = dx.Shape.Around(axis);
        RepeatBody body = new(Floats(dy), (float)scale, extent, inner, Floats(dx));
        _pool.For(dx.Shape.Count, ElementGrain, ref body);
    }

    /// <inheritdoc/>
    public void ReduceMax(Tensor x, int axis, Tensor y, Tensor indices)
    {
        (long outer, long extent, long inner) = x.Shape.Around(axis);
        MaxBody body = new(Floats(x), checked((int)extent), inner, Floats(y), Ints(indices));
        _pool.For(outer * inner, Math.Max(1, ElementGrain / extent), ref body);
    }

    /// <inheritdoc/>
    public void ReduceMaxBackward(Tensor dy, Tensor indices, int axis, Tensor dx)
    {
        (_, long extent, long inner) = dx.Shape.Around(axis);
        MaxBackwardBody body = new(Floats(dy), Ints(indices), extent, inner, Floats(dx));
        _pool.For(dy.Shape.Count, ElementGrain, ref body);
    }

    private static long ColumnBlocks(long width) => (width + ColumnBlock - 1) / ColumnBlock;

    /// <summary>Σ in float64: a float32 sum of many like terms drifts.</summary>
    private static double SumOf(float* x, long length)
    {
        (Vector<double> even, Vector<double> odd) = (Vector<double>.Zero, Vector<double>.Zero);
        long i = 0;
        for (; i <= length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector.Widen(Vector.Load(x + i), out Vector<double> low, out Vector<double> high);
            even += low;
            odd += high;
        }

        double total = Vector.Sum(even + odd);
        for (; i < length; i++)
        {
            total += x[i];
        }

        return total;
    }

    /// <summary>totals += x.</summary>
    private static void AddTo(double* totals, float* x, int length)
    {
        int i = 0;
        for (; i <= length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector.Widen(Vector.Load(x + i), out Vector<double> low, out Vector<double> high);
            (Vector.Load(totals + i) + low).Store(totals + i);
            (Vector.Load(totals + i + Vector<double>.Count) + high).Store(totals + i + Vector<double>.Count);
        }

        for (; i < length; i++)
        {
            totals[i] += x[i];
        }
    }

    private readonly struct SumPartsBody(float* x, long extent, long parts, double* sums) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long item = start; item < end; item++)
            {
                (long row, long part) = Math.DivRem(item, parts);
                long first = part * ElementGrain;
                sums[item] = SumOf(x + (row * extent) + first, Math.Min(ElementGrain, extent - first));
            }
        }
    }

    /// <summary>Σ over the middle axis: one item is a block of columns of one outer index.</summary>
    private readonly struct SumRowsBody(float* x, long extent, long inner, double scale, float* y) : IParallelRange
    {
        public void Run(long start, long end)
        {
            double* totals = stackalloc double[ColumnBlock];
            long blocks = ColumnBlocks(inner);
            for (long item = start; item < end; item++)
            {
                (long outer, long block) = Math.DivRem(item, blocks);
                long column = block * ColumnBlock;
                int width = (int)Math.Min(ColumnBlock, inner - column);
                new Span<double>(totals, ColumnBlock).Clear();
                for (long row = 0; row < extent; row++)
                {
                    AddTo(totals, x + (((outer * extent) + row) * inner) + column, width);
                }

                float* target = y + (outer * inner) + column;
                for (int i = 0; i < width; i++)
                {
                    target[i] = (float)(totals[i] * scale);
                }
            }
        }
    }

    private readonly struct RepeatBody(float* dy, float scale, long extent, long inner, float* dx) : IParallelRange
    {
        public void Run(long start, long end)
        {
            // Runs over which one element of dy, or one stretch of them, serves.
            long run = inner == 1 ? extent : inner;
            for (long at = start; at < end;)
            {
                (long row, long column) = Math.DivRem(at, run);
                Span<float> target = new(dx + at, (int)Math.Min(run - column, end - at));
                if (inner == 1)
                {
                    TensorPrimitives.Add(target, dy[row] * scale, target);
                }
                else
                {
                    ReadOnlySpan<float> source = new(dy + (row / extent * inner) + column, target.Length);
                    TensorPrimitives.MultiplyAdd(source, scale, target, target);
                }

                at += target.Length;
            }
        }
    }

    private readonly struct MaxBody(float* x, int extent, long inner, float* y, int* indices) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long item = start; item < end; item++)
            {
                (long outer, long column) = Math.DivRem(item, inner);
                float* source = x + (outer * extent * inner) + column;
                int best = inner == 1 ? TensorPrimitives.IndexOfMax(new ReadOnlySpan<float>(source, extent)) : FirstMax(source);
                indices[item] = best;
                y[item] = source[best * inner];
            }
        }

        private int FirstMax(float* source)
        {
            int best = 0;
            for (int i = 1; i < extent && !float.IsNaN(source[best * inner]); i++)
            {
                (float value, float largest) = (source[i * inner], source[best * inner]);
                bool positiveZero = value == 0f && largest == 0f && float.IsNegative(largest) && !float.IsNegative(value);
                if (value > largest || float.IsNaN(value) || positiveZero)
                {
                    best = i;
                }
            }

            return best;
        }
    }

    private readonly struct MaxBackwardBody(float* dy, int* indices, long extent, long inner, float* dx) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long item = start; item < end; item++)
            {
                (long outer, long column) = Math.DivRem(item, inner);
                dx[(((outer * extent) + indices[item]) * inner) + column] += dy[item];
            }
        }
    }
}
