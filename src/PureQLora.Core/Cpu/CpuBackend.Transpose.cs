using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Side of the squares in which a matrix is transposed, so that both sides of a square stay in the first-level cache.</summary>
    private const int TransposeTile = 32;

    /// <inheritdoc/>
    public void Transpose(Tensor x, int axis0, int axis1, Tensor y, bool accumulate)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        (int low, int high) = (Math.Min(axis0, axis1), Math.Max(axis0, axis1));
        CheckSameType(x, y, accumulate);
        if (low == high)
        {
            CopySlice(x, 0, y, 0, x.Shape[low], low, accumulate);
            return;
        }

        // [outer, d0, middle, d1, inner] becomes [outer, d1, middle, d0, inner].
        (long outer, long d0, _) = x.Shape.Around(low);
        (_, long d1, long inner) = x.Shape.Around(high);
        long middle = x.Shape.Count == 0 ? 0 : x.Shape.Count / (outer * d0 * d1 * inner);
        TransposeLayout layout = new(d0, middle, d1, inner);
        if (inner > 1)
        {
            TransposeRunsBody runs = new(x.Host(), y.Host(), layout, x.DataType.Size(), accumulate);
            _pool.For(x.Shape.Count / Math.Max(1, inner), RowGrain(inner), ref runs);
            return;
        }

        long items = outer * middle * layout.Tiles;
        long grain = Math.Max(1, ElementGrain / (TransposeTile * Math.Max(1, d0)));
        if (accumulate)
        {
            TransposeAddBody add = new(Floats(x), Floats(y), layout);
            _pool.For(items, grain, ref add);
        }
        else if (x.DataType.Size() == sizeof(uint))
        {
            TransposeTilesBody<uint> words = new((uint*)x.Host(), (uint*)y.Host(), layout);
            _pool.For(items, grain, ref words);
        }
        else
        {
            TransposeTilesBody<ushort> halves = new((ushort*)x.Host(), (ushort*)y.Host(), layout);
            _pool.For(items, grain, ref halves);
        }
    }

    private static void CheckSameType(Tensor source, Tensor destination, bool accumulate)
    {
        if (source.DataType != destination.DataType || (accumulate && source.DataType != DataType.Float32))
        {
            throw new ArgumentException(
                $"{source} and {destination} cannot be {(accumulate ? "added: both must be Float32" : "copied: types must be equal")}; cast one first.", nameof(destination));
        }
    }

    /// <summary>Extents of [outer, d0, middle, d1, inner], from which a tile's corner follows.</summary>
    private readonly record struct TransposeLayout(long D0, long Middle, long D1, long Inner)
    {
        /// <summary>Strips of <see cref="TransposeTile"/> indices of d1.</summary>
        public long Tiles => (D1 + TransposeTile - 1) / TransposeTile;

        /// <summary>First source and destination element, stride of d0 in the source and of d1 in the destination, and the strip.</summary>
        public (long Source, long Destination, long First, long Last) Strip(long item)
        {
            (long plane, long tile) = Math.DivRem(item, Tiles);
            (long outer, long middle) = Math.DivRem(plane, Middle);
            long start = outer * D0 * Middle * D1;
            return (start + (middle * D1), start + (middle * D0), tile * TransposeTile, Math.Min(D1, (tile + 1) * TransposeTile));
        }
    }

    private readonly struct TransposeTilesBody<T>(T* x, T* y, TransposeLayout layout) : IParallelRange
        where T : unmanaged
    {
        public void Run(long start, long end)
        {
            (long sourceStride, long targetStride) = (layout.Middle * layout.D1, layout.Middle * layout.D0);
            for (long item = start; item < end; item++)
            {
                (long source, long target, long first, long last) = layout.Strip(item);
                for (long corner = 0; corner < layout.D0; corner += TransposeTile)
                {
                    long bottom = Math.Min(layout.D0, corner + TransposeTile);
                    for (long j = first; j < last; j++)
                    {
                        for (long i = corner; i < bottom; i++)
                        {
                            y[target + (j * targetStride) + i] = x[source + (i * sourceStride) + j];
                        }
                    }
                }
            }
        }
    }

    private readonly struct TransposeAddBody(float* x, float* y, TransposeLayout layout) : IParallelRange
    {
        public void Run(long start, long end)
        {
            (long sourceStride, long targetStride) = (layout.Middle * layout.D1, layout.Middle * layout.D0);
            for (long item = start; item < end; item++)
            {
                (long source, long target, long first, long last) = layout.Strip(item);
                for (long corner = 0; corner < layout.D0; corner += TransposeTile)
                {
                    long bottom = Math.Min(layout.D0, corner + TransposeTile);
                    for (long j = first; j < last; j++)
                    {
                        for (long i = corner; i < bottom; i++)
                        {
                            y[target + (j * targetStride) + i] += x[source + (i * sourceStride) + j];
                        }
                    }
                }
            }
        }
    }

    /// <summary>Where the last axis stays, whole runs move; one item is one run of the result.</summary>
    private readonly struct TransposeRunsBody(byte* x, byte* y, TransposeLayout layout, int elementSize, bool accumulate) : IParallelRange
    {
        public void Run(long start, long end)
        {
            long bytes = layout.Inner * elementSize;
            for (long item = start; item < end; item++)
            {
                (long rest, long i) = Math.DivRem(item, layout.D0);
                (rest, long middle) = Math.DivRem(rest, layout.Middle);
                (long outer, long j) = Math.DivRem(rest, layout.D1);
                byte* source = x + (((((((outer * layout.D0) + i) * layout.Middle) + middle) * layout.D1) + j) * bytes);
                CopyRun(source, y + (item * bytes), bytes, accumulate);
            }
        }
    }

    /// <summary>Copies bytes, or adds the floats that they are.</summary>
    private static void CopyRun(byte* source, byte* destination, long bytes, bool accumulate)
    {
        if (!accumulate)
        {
            Buffer.MemoryCopy(source, destination, bytes, bytes);
            return;
        }

        for (long at = 0; at < bytes; at += ElementGrain * sizeof(float))
        {
            int length = (int)(Math.Min(ElementGrain * sizeof(float), bytes - at) / sizeof(float));
            Span<float> sum = new(destination + at, length);
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(source + at, length), sum);
        }
    }
}
