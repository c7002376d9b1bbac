using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>tr((W − Q) H (W − Q)ᵀ), twice the mean squared error of a layer's output over the calibration rows.</summary>
internal static unsafe class ProxyLoss
{
    private const int ChunkRows = 128;
    private const int BlockSize = 96;

    /// <summary>Computes the loss in float64.</summary>
    /// <param name="weights">W, row-major. [rows, columns]</param>
    /// <param name="result">Q.</param>
    /// <param name="hessian">H, symmetric, undamped. [columns, columns]</param>
    /// <param name="backend">Computes.</param>
    public static double Compute(ReadOnlySpan<float> weights, QuantizationResult result, double[] hessian, CpuBackend backend)
    {
        var losses = new double[((result.Rows - 1) / ChunkRows) + 1];
        fixed (float* pinnedWeights = weights)
        {
            fixed (double* pinnedHessian = hessian)
            {
                float* w = pinnedWeights;
                DoubleMatrix h = new(pinnedHessian, result.Columns);
                backend.For(result.Rows, ChunkRows, (start, end) =>
                    losses[start / ChunkRows] = ComputeRows(backend.VectorBits, w, result, (int)start, (int)(end - start), h));
            }
        }

        return losses.Sum();
    }

    private static double ComputeRows(int vectorBits, float* weights, QuantizationResult result, int first, int rows, DoubleMatrix hessian)
    {
        int n = result.Columns;
        using Borrowed errors = Borrowed.Rent(rows * n);
        using Borrowed products = Borrowed.Rent(rows * BlockSize); // −(W − Q)·H in one block of columns
        ReadErrors(weights, result, first, rows, errors.Array);
        double loss = 0;
        fixed (double* pinnedErrors = errors.Array, pinnedProducts = products.Array)
        {
            DoubleMatrix e = new(pinnedErrors, n);
            DoubleMatrix p = new(pinnedProducts, BlockSize);
            for (int start = 0; start < n; start += BlockSize)
            {
                int width = Math.Min(BlockSize, n - start);

                // H is symmetric: what lies above the diagonal block counts for its mirror image as well.
                products.Array.AsSpan(0, rows * BlockSize).Clear();
                BlockUpdate.Subtract(vectorBits, p, e, hessian.From(0, start), rows, start, width);
                loss -= 2 * Sum(p, e.From(0, start), rows, width);
                products.Array.AsSpan(0, rows * BlockSize).Clear();
                BlockUpdate.Subtract(vectorBits, p, e.From(0, start), hessian.From(start, start), rows, width, width);
                loss -= Sum(p, e.From(0, start), rows, width);
            }
        }

        return loss;
    }

    /// <summary>W − Q of some rows. [rows, columns]</summary>
    private static void ReadErrors(float* weights, QuantizationResult result, int first, int rows, Span<double> errors)
    {
        int n = result.Columns;
        var quantized = new float[n];
        var widened = new double[n];
        for (int row = 0; row < rows; row++)
        {
            Span<double> target = errors.Slice(row * n, n);
            result.DequantizeRow(first + row, quantized);
            TensorPrimitives.ConvertTruncating(new ReadOnlySpan<float>(weights + ((long)(first + row) * n), n), target);
            TensorPrimitives.ConvertTruncating<float, double>(quantized, widened);
            TensorPrimitives.Subtract(target, widened, target);
        }
    }

    private static double Sum(DoubleMatrix left, DoubleMatrix right, int rows, int columns)
    {
        double sum = 0;
        for (int row = 0; row < rows; row++)
        {
            sum += TensorPrimitives.Dot(
                new ReadOnlySpan<double>(left.At(row, 0), columns), new ReadOnlySpan<double>(right.At(row, 0), columns));
        }

        return sum;
    }
}
