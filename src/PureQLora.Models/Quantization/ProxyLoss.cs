namespace PureQLora.Models;

/// <summary>tr((W − Q) H (W − Q)ᵀ), twice the mean squared error of a layer's output over the calibration rows.</summary>
internal static unsafe class ProxyLoss
{
    private const int ChunkRows = 64;
    private const int BlockSize = 128;

    /// <summary>Computes the loss in float64.</summary>
    /// <param name="weights">W, row-major. [rows, columns]</param>
    /// <param name="result">Q.</param>
    /// <param name="hessian">H, symmetric, undamped. [columns, columns]</param>
    public static double Compute(ReadOnlySpan<float> weights, QuantizationResult result, double[] hessian)
    {
        int chunks = ((result.Rows - 1) / ChunkRows) + 1;
        var losses = new double[chunks];
        fixed (float* pinned = weights)
        {
            float* w = pinned;
            Parallel.For(0, chunks, chunk =>
            {
                int first = chunk * ChunkRows;
                losses[chunk] = ComputeRows(w + ((long)first * result.Columns), result, first, Math.Min(ChunkRows, result.Rows - first), hessian);
            });
        }

        return losses.Sum();
    }

    private static double ComputeRows(float* weights, QuantizationResult result, int first, int rows, double[] hessian)
    {
        int n = result.Columns;
        var errors = new double[rows * n];     // [rows, columns]
        var products = new double[rows * n];   // −(W − Q)·H of the columns at and after a block, by its errors alone
        var quantized = new float[n];
        for (int row = 0; row < rows; row++)
        {
            result.DequantizeRow(first + row, quantized);
            for (int column = 0; column < n; column++)
            {
                errors[(row * n) + column] = (double)weights[((long)row * n) + column] - quantized[column];
            }
        }

        double loss = 0;
        fixed (double* e = errors, p = products, h = hessian)
        {
            for (int start = 0; start < n; start += BlockSize)
            {
                int depth = Math.Min(BlockSize, n - start);
                Array.Clear(products);
                BlockUpdate.Subtract(p + start, n, e + start, n, h + ((long)start * n) + start, n, rows, depth, n - start);
                for (int row = 0; row < rows; row++)
                {
                    for (int column = start; column < n; column++)
                    {
                        // H is symmetric: what lies right of the diagonal block counts for its mirror image as well.
                        double weight = column < start + depth ? 1 : 2;
                        loss -= weight * p[(row * n) + column] * e[(row * n) + column];
                    }
                }
            }
        }

        return loss;
    }
}
