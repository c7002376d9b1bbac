using System.Numerics.Tensors;
using PureQLora.Core;
using Tensor = PureQLora.Core.Tensor;

namespace PureQLora.Models;

/// <summary>
/// What a layer should be on the inputs that it really gets, so that it puts out what the unquantised layer does on its own: with
/// H = 2/n · XᵀX and D = 2/n · (X̃ − X)ᵀX, T = W + strength · W·D·(H + λI)⁻¹. At strength 1 it is the ridge regression of the unquantised
/// output W·X̃ᵀ on X around W. Layers whose output is added to the residual stream also make up for what that stream has lost before
/// them: W·D + P in place of W·D, with P = 2/n · (R̃ − R)ᵀX.
/// </summary>
/// <remarks>
/// The same as W + strength · ((W·C + P + λW)(H + λI)⁻¹ − W) with C = 2/n · X̃ᵀX = H + D; without P compare GPTAQ, arXiv:2504.02692. Full strength
/// repeats the accidents of the calibration text; how much of it holds for other text follows the number of rows to each input.
/// </remarks>
internal sealed unsafe class CalibrationTarget
{
    private const int ChunkRows = 256;

    /// <summary>Columns that are taken at once.</summary>
    private const int Strip = 128;

    /// <summary>
    /// Calibration tokens for each input at which half of the regression is believed. Measured on 192 to 512 inputs: a quarter to a half is
    /// best at 4,000 tokens, a half to three quarters at 16,000, nearly all at 65,000.
    /// </summary>
    private const double TokensOfHalf = 60;

    private readonly DeviationAccumulator _deviation;
    private readonly HessianFactor _factor;
    private readonly CpuBackend _backend;
    private readonly bool _solvedBefore;

    /// <summary>Prepares the targets of layers that share an input.</summary>
    /// <param name="deviation">Of their input; ended here, its sum is overwritten.</param>
    /// <param name="factor">Of H.</param>
    /// <param name="rows">Output features of all layers together.</param>
    /// <param name="backend">Computes.</param>
    public CalibrationTarget(DeviationAccumulator deviation, HessianFactor factor, int rows, CpuBackend backend)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(deviation.Columns, factor.Columns);
        (_deviation, _factor, _backend) = (deviation, factor, backend);

        // W·(D·(H + λI)⁻¹) or (W·D + P)·(H + λI)⁻¹: whichever has fewer rows to solve for.
        _solvedBefore = rows > factor.Columns && deviation.Residual is null;
        if (_solvedBefore)
        {
            Solve(deviation.Sum, factor.Columns);
        }
    }

    /// <summary>The strength that an amount of text bears: n / (n + 60 · columns).</summary>
    /// <param name="rows">Calibration tokens, n.</param>
    /// <param name="columns">Inputs of the layer.</param>
    public static double Strength(long rows, int columns) => rows / (rows + (TokensOfHalf * columns));

    /// <summary>Replaces weights by their target.</summary>
    /// <param name="weights">W, becomes T. [rows, columns]</param>
    /// <param name="strength">0 to 1; null: <see cref="Strength"/>.</param>
    public void Apply(Span<float> weights, double? strength)
    {
        int n = _factor.Columns;
        int rows = weights.Length / n;
        double share = (strength ?? Strength(_deviation.RowCount, n)) * 2 / _deviation.RowCount;

        // The sum is float32 already, so its product with the weights may be as well.
        using ComputeScope scope = new(_backend);
        Tensor left = scope.From(weights, new Shape(rows, n));
        Tensor product = scope.New(left.Shape);
        _backend.MatMul(left, transposeA: false, _deviation.Matrix, transposeB: false, (float)share, accumulate: false, product, Precision.Float32);
        if (_deviation.Residual is { } residual)
        {
            TensorPrimitives.MultiplyAdd(residual.Floats, (float)share, product.Floats, product.Floats);
        }

        if (!_solvedBefore)
        {
            Solve(product.Floats, rows);
        }

        TensorPrimitives.Add(weights, product.Floats, weights);
    }

    /// <summary>X ← X·(H + λI)⁻¹ for some rows in the columns' own order.</summary>
    private void Solve(Span<float> rows, int count)
    {
        fixed (float* pinnedRows = rows)
        {
            fixed (double* pinnedUpper = _factor.Upper)
            {
                float* x = pinnedRows;
                DoubleMatrix upper = new(pinnedUpper, _factor.Columns);
                _backend.For(count, ChunkRows, (start, end) => Solve(x + (start * _factor.Columns), (int)(end - start), upper));
            }
        }
    }

    /// <summary>Some rows, in the order of the factor: times Uᵀ, then times U. Both products are subtracted from zero, so the signs cancel.</summary>
    private void Solve(float* x, int rows, DoubleMatrix upper)
    {
        int n = _factor.Columns;
        using Borrowed left = Borrowed.Rent(rows * n);
        using Borrowed right = Borrowed.Rent(rows * n);
        using Borrowed strip = Borrowed.Rent(Strip * n);
        fixed (double* pinnedLeft = left.Array, pinnedRight = right.Array, pinnedStrip = strip.Array)
        {
            DoubleMatrix a = new(pinnedLeft, n);
            DoubleMatrix b = new(pinnedRight, n);
            Move(x, a, rows, read: true);
            right.Array.AsSpan(0, rows * n).Clear();
            SubtractTransposed(a, b, rows, upper, pinnedStrip);
            left.Array.AsSpan(0, rows * n).Clear();
            for (int start = 0; start < n; start += Strip)
            {
                BlockUpdate.Subtract(
                    _backend.VectorBits, a.From(0, start), b.From(0, start), upper.From(start, start), rows, Math.Min(Strip, n - start), n - start);
            }

            Move(x, a, rows, read: false);
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
            BlockUpdate.Subtract(_backend.VectorBits, b.From(0, start), a.From(0, start), new DoubleMatrix(strip, width), rows, n - start, width);
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

    /// <summary>Between the columns' own order and that of the factor.</summary>
    private void Move(float* x, DoubleMatrix places, int rows, bool read)
    {
        for (int row = 0; row < rows; row++)
        {
            float* own = x + ((long)row * _factor.Columns);
            double* ordered = places.At(row, 0);
            for (int place = 0; place < _factor.Columns; place++)
            {
                int column = _factor.Order is null ? place : _factor.Order[place];
                if (read)
                {
                    ordered[place] = own[column];
                }
                else
                {
                    own[column] = (float)ordered[place];
                }
            }
        }
    }
}
