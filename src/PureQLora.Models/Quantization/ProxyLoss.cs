using System.Buffers;
using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>tr((W − Q) H (W − Q)ᵀ), twice the mean squared error of a layer's output over the calibration rows.</summary>
internal static unsafe class ProxyLoss
{
    /// <summary>Rows whose errors are held at once.</summary>
    private const int ChunkRows = 512;

    private const int GrainRows = 16;

    /// <summary>Computes the loss with float32 products: it is a figure for reports, no code depends on it.</summary>
    /// <param name="weights">W, row-major. [rows, columns]</param>
    /// <param name="result">Q.</param>
    /// <param name="hessian">H, symmetric, undamped. [columns, columns]</param>
    /// <param name="backend">Computes.</param>
    public static double Compute(ReadOnlySpan<float> weights, QuantizationResult result, double[] hessian, CpuBackend backend)
    {
        int n = result.Columns;
        float[] errors = ArrayPool<float>.Shared.Rent(Math.Min(ChunkRows, result.Rows) * n); // [ChunkRows, columns]
        double loss = 0;
        fixed (float* pinned = weights)
        {
            float* w = pinned;
            for (int chunk = 0; chunk < result.Rows; chunk += ChunkRows)
            {
                int first = chunk;
                int rows = Math.Min(ChunkRows, result.Rows - first);
                backend.For(rows, GrainRows, (start, end) =>
                {
                    for (int row = (int)start; row < end; row++)
                    {
                        Span<float> error = errors.AsSpan(row * n, n);
                        result.DequantizeRow(first + row, error);
                        TensorPrimitives.Subtract(new ReadOnlySpan<float>(w + ((long)(first + row) * n), n), error, error);
                    }
                });
                loss += backend.QuadraticForm(errors.AsSpan(0, rows * n), n, hessian);
            }
        }

        ArrayPool<float>.Shared.Return(errors);
        return loss;
    }
}
