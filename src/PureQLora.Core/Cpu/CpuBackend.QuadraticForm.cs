using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Columns of the matrix that are multiplied at once.</summary>
    private const int QuadraticColumns = 256;

    private const int QuadraticGrain = 64;

    /// <summary>
    /// Σ over the rows of x of xᵢ·H·xᵢᵀ. Products are float32, of H divided by its largest diagonal element; the sums over strips of
    /// 256 columns and over rows are float64.
    /// </summary>
    /// <remarks>What lies above a strip's diagonal block is doubled instead of multiplied again below it: half of a product's arithmetic.</remarks>
    /// <param name="x">[rows, columns], row-major.</param>
    /// <param name="columns">Columns of <paramref name="x"/>.</param>
    /// <param name="matrix">H, symmetric and positive semidefinite. [columns, columns]</param>
    public double QuadraticForm(ReadOnlySpan<float> x, int columns, ReadOnlySpan<double> matrix)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(x.Length % columns, 0);
        ArgumentOutOfRangeException.ThrowIfNotEqual(matrix.Length, (long)columns * columns);
        int rows = x.Length / columns;
        double largest = 0;
        for (int i = 0; i < columns; i++)
        {
            largest = Math.Max(largest, matrix[(i * columns) + i]);
        }

        if (largest == 0)
        {
            return 0;
        }

        using Scratch strip = Scratch.Rent((long)columns * QuadraticColumns);
        using Scratch products = Scratch.Rent((long)rows * QuadraticColumns);
        using Scratch sums = Scratch.Rent(2L * rows);
        new Span<float>(sums.Floats, 2 * rows).Clear();
        fixed (float* input = x)
        {
            fixed (double* h = matrix)
            {
                for (int start = 0; start < columns; start += QuadraticColumns)
                {
                    QuadraticStrip part = new(input, h, columns, start, strip.Floats, products.Floats, (double*)sums.Floats, 1 / largest);
                    AddStrip(part, rows);
                }
            }
        }

        return largest * TensorPrimitives.Sum(new ReadOnlySpan<double>(sums.Floats, rows));
    }

    private void AddStrip(in QuadraticStrip part, int rows)
    {
        StripNarrowing narrowing = new(part);
        _pool.For(part.Depth, QuadraticGrain, ref narrowing);
        Gemm(new GemmProblem
        {
            First = new()
            {
                Left = MatrixSource.Of(part.Input, part.Columns),
                Right = MatrixSource.Of(part.Strip, part.Width),
                LeftIsInner = true,
                Depth = part.Depth,
            },
            Precision = Precision.Float32,
            Alpha = 1f,
            M = rows,
            N = part.Width,
            C = part.Products,
            RowStride = part.Width,
            ColumnStride = 1,
        });
        StripDots dots = new(part);
        _pool.For(rows, QuadraticGrain, ref dots);
    }

    /// <summary>Some columns of H from the top to the end of their diagonal block.</summary>
    private readonly struct QuadraticStrip(float* input, double* matrix, int columns, int start, float* strip, float* products, double* sums, double scale)
    {
        public float* Input => input;

        public int Columns => columns;

        public int Start => start;

        public int Width => Math.Min(QuadraticColumns, columns - start);

        public int Depth => start + Width;

        /// <summary>Scaled H in float32. [Depth, Width]</summary>
        public float* Strip => strip;

        /// <summary>x times the strip. [rows, Width]</summary>
        public float* Products => products;

        /// <summary>[rows]</summary>
        public double* Sums => sums;

        public double ScaleOf(long row) => row < start ? 2 * scale : scale;

        public double* Row(long row) => matrix + (row * columns) + start;
    }

    private readonly struct StripNarrowing(QuadraticStrip part) : IParallelRange
    {
        private readonly QuadraticStrip _part = part;

        public void Run(long start, long end)
        {
            Span<double> scaled = stackalloc double[QuadraticColumns];
            scaled = scaled[.._part.Width];
            for (long row = start; row < end; row++)
            {
                TensorPrimitives.Multiply(new ReadOnlySpan<double>(_part.Row(row), _part.Width), _part.ScaleOf(row), scaled);
                TensorPrimitives.ConvertTruncating<double, float>(scaled, new Span<float>(_part.Strip + (row * _part.Width), _part.Width));
            }
        }
    }

    private readonly struct StripDots(QuadraticStrip part) : IParallelRange
    {
        private readonly QuadraticStrip _part = part;

        public void Run(long start, long end)
        {
            for (long row = start; row < end; row++)
            {
                _part.Sums[row] += TensorPrimitives.Dot(
                    new ReadOnlySpan<float>(_part.Products + (row * _part.Width), _part.Width),
                    new ReadOnlySpan<float>(_part.Input + (row * _part.Columns) + _part.Start, _part.Width));
            }
        }
    }
}
