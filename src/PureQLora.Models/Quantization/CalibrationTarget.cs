using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// What a layer should be on the inputs that it really gets, so that it puts out what the unquantised layer does on its own: with
/// H = 2/n · XᵀX and D = 2/n · (X̃ − X)ᵀX, T = W + strength · W·D·(H + λI)⁻¹. At strength 1 it is the ridge regression of the unquantised
/// output W·X̃ᵀ on X around W.
/// </summary>
/// <remarks>
/// The same as W + strength · ((W·C + λW)(H + λI)⁻¹ − W) with C = 2/n · X̃ᵀX = H + D; compare GPTAQ, arXiv:2504.02692. Full strength repeats the
/// accidents of the calibration text; how much of it holds for other text follows the number of rows to each input.
/// </remarks>
internal sealed unsafe class CalibrationTarget
{
    private const int ChunkRows = 128;

    /// <summary>Columns that are taken at once.</summary>
    private const int Strip = 128;

    /// <summary>
    /// Calibration tokens for each input at which half of the regression is believed. Measured on 192 to 512 inputs: a quarter to a half is
    /// best at 4,000 tokens, a half to three quarters at 16,000, nearly all at 65,000.
    /// </summary>
    private const double TokensOfHalf = 40;

    private readonly HessianFactor _factor;
    private readonly int _vectorBits;
    private readonly double _share;

    private CalibrationTarget(HessianFactor factor, double share, int vectorBits) => (_factor, _share, _vectorBits) = (factor, share, vectorBits);

    /// <summary>The strength that an amount of text bears: n / (n + 40 · columns).</summary>
    /// <param name="rows">Calibration tokens, n.</param>
    /// <param name="columns">Inputs of the layer.</param>
    public static double Strength(long rows, int columns) => rows / (rows + (TokensOfHalf * columns));

    /// <summary>Replaces weights by their target.</summary>
    /// <param name="weights">W, becomes T. [rows, columns]</param>
    /// <param name="rows">Output features.</param>
    /// <param name="deviation">D, not yet times 2/n.</param>
    /// <param name="factor">Of H.</param>
    /// <param name="strength">0 to 1.</param>
    /// <param name="backend">Gives threads and vectors.</param>
    public static void Apply(Span<float> weights, int rows, DeviationAccumulator deviation, HessianFactor factor, double strength, CpuBackend backend)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(weights.Length, (long)rows * factor.Columns);
        ArgumentOutOfRangeException.ThrowIfNotEqual(deviation.Columns, factor.Columns);
        CalibrationTarget target = new(factor, strength * 2 / deviation.RowCount, backend.VectorBits);
        fixed (float* pinnedWeights = weights, pinnedDeviation = deviation.Sum)
        {
            fixed (double* pinnedUpper = factor.Upper)
            {
                float* w = pinnedWeights;
                float* d = pinnedDeviation;
                double* upper = pinnedUpper;
                backend.For(rows, ChunkRows, (start, end) => target.Apply(w + (start * factor.Columns), (int)(end - start), d, upper));
            }
        }
    }

    /// <summary>Some rows: W·D in the columns' own order, then in that of the factor times Uᵀ and times U.</summary>
    private void Apply(float* weights, int rows, float* deviation, double* upper)
    {
        int n = _factor.Columns;
        using Borrowed left = Borrowed.Rent(rows * n);
        using Borrowed right = Borrowed.Rent(rows * n);
        using Borrowed strip = Borrowed.Rent(Strip * n);
        fixed (double* pinnedLeft = left.Array, pinnedRight = right.Array, pinnedStrip = strip.Array)
        {
            (DoubleMatrix a, DoubleMatrix b) = (new DoubleMatrix(pinnedLeft, n), new DoubleMatrix(pinnedRight, n));
            TensorPrimitives.ConvertTruncating(new ReadOnlySpan<float>(weights, rows * n), left.Array.AsSpan(0, rows * n));
            right.Array.AsSpan(0, rows * n).Clear();
            SubtractDeviation(a, b, rows, deviation, new DoubleMatrix(pinnedStrip, n));
            Reorder(b, a, rows);
            right.Array.AsSpan(0, rows * n).Clear();
            SubtractTransposed(a, b, rows, new DoubleMatrix(upper, n), pinnedStrip);
            left.Array.AsSpan(0, rows * n).Clear();
            for (int start = 0; start < n; start += Strip)
            {
                BlockUpdate.Subtract(
                    _vectorBits, a.From(0, start), b.From(0, start), new DoubleMatrix(upper, n).From(start, start), rows, Math.Min(Strip, n - start), n - start);
            }

            Move(weights, a, rows);
        }
    }

    /// <summary>b −= a · D.</summary>
    private void SubtractDeviation(DoubleMatrix a, DoubleMatrix b, int rows, float* deviation, DoubleMatrix strip)
    {
        int n = _factor.Columns;
        for (int start = 0; start < n; start += Strip)
        {
            int depth = Math.Min(Strip, n - start);
            TensorPrimitives.ConvertTruncating(new ReadOnlySpan<float>(deviation + ((long)start * n), depth * n), new Span<double>(strip.First, depth * n));
            BlockUpdate.Subtract(_vectorBits, b, a.From(0, start), strip, rows, depth, n);
        }
    }

    /// <summary>target[place] = source[column at that place].</summary>
    private void Reorder(DoubleMatrix source, DoubleMatrix target, int rows)
    {
        for (int row = 0; row < rows; row++)
        {
            double* from = source.At(row, 0);
            double* to = target.At(row, 0);
            for (int place = 0; place < _factor.Columns; place++)
            {
                to[place] = from[ColumnAt(place)];
            }
        }
    }

    /// <summary>b −= a · Uᵀ, of which only what lies on and below the diagonal counts; its strips are turned, so that rows are contiguous.</summary>
    private void SubtractTransposed(DoubleMatrix a, DoubleMatrix b, int rows, DoubleMatrix upper, double* strip)
    {
        int n = _factor.Columns;
        for (int start = 0; start < n; start += Strip)
        {
            int width = Math.Min(Strip, n - start);
            Turn(upper.From(start, start), width, n - start, new DoubleMatrix(strip, width));
            BlockUpdate.Subtract(_vectorBits, b.From(0, start), a.From(0, start), new DoubleMatrix(strip, width), rows, n - start, width);
        }
    }

    /// <summary>By eight columns, so that the lines read are used whole while they are in the cache.</summary>
    private static void Turn(DoubleMatrix source, int rows, int columns, DoubleMatrix target)
    {
        const int Line = 8;
        for (int first = 0; first < columns; first += Line)
        {
            int last = Math.Min(first + Line, columns);
            for (int row = 0; row < rows; row++)
            {
                for (int column = first; column < last; column++)
                {
                    *target.At(column, row) = *source.At(row, column);
                }
            }
        }
    }

    private void Move(float* weights, DoubleMatrix correction, int rows)
    {
        for (int row = 0; row < rows; row++)
        {
            float* w = weights + ((long)row * _factor.Columns);
            double* c = correction.At(row, 0);
            for (int place = 0; place < _factor.Columns; place++)
            {
                // Two products were subtracted from zero, the third as well: the sign of the whole is minus.
                w[ColumnAt(place)] = (float)(w[ColumnAt(place)] - (_share * c[place]));
            }
        }
    }

    private int ColumnAt(int place) => _factor.Order is null ? place : _factor.Order[place];
}
