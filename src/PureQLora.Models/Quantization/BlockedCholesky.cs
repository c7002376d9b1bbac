using System.Numerics.Tensors;

namespace PureQLora.Models;

/// <summary>Cholesky factorisation in float64, by blocks of 128 columns: nearly all of its work is <see cref="BlockUpdate"/>.</summary>
internal static unsafe class BlockedCholesky
{
    private const int BlockSize = 128;
    private const int ChunkSize = 64;

    /// <summary>Replaces a symmetric matrix by T, upper triangular in row-major order with TᵀT = A. Column-major, that is L with LLᵀ = A.</summary>
    /// <param name="matrix">A; only its upper triangle (row-major) is read. [n, n]</param>
    /// <param name="n">Its order.</param>
    /// <returns>False where A is not positive definite; its content is then of no use.</returns>
    public static bool TryFactor(double[] matrix, int n)
    {
        for (int start = 0; start < n; start += BlockSize)
        {
            int depth = Math.Min(BlockSize, n - start);
            int end = start + depth;
            if (!TryFactorDiagonal(matrix, n, start, depth))
            {
                return false;
            }

            int firstRow = start;
            Parallel.For(0, (n - end + ChunkSize - 1) / ChunkSize, chunk => SolvePanel(matrix, n, firstRow, depth, end + (chunk * ChunkSize)));
            Parallel.For(0, (n - end + ChunkSize - 1) / ChunkSize, chunk => UpdateTrailing(matrix, n, firstRow, depth, end + (chunk * ChunkSize)));
        }

        for (int row = 1; row < n; row++)
        {
            matrix.AsSpan(row * n, row).Clear();
        }

        return true;
    }

    private static bool TryFactorDiagonal(double[] matrix, int n, int start, int depth)
    {
        for (int k = start; k < start + depth; k++)
        {
            Span<double> row = matrix.AsSpan((k * n) + k, start + depth - k);
            double pivot = Math.Sqrt(row[0]); // NaN below zero
            if (!(pivot > 0) || !double.IsFinite(pivot))
            {
                return false;
            }

            row[0] = pivot;
            TensorPrimitives.Divide(row[1..], pivot, row[1..]);
            for (int i = 1; i < row.Length; i++)
            {
                Span<double> target = matrix.AsSpan(((k + i) * n) + k + i, row.Length - i);
                TensorPrimitives.FusedMultiplyAdd(row[i..], -row[i], target, target);
            }
        }

        return true;
    }

    /// <summary>Up to 64 columns right of the diagonal block: TᵀX = A from the top row down.</summary>
    private static void SolvePanel(double[] matrix, int n, int start, int depth, int firstColumn)
    {
        int width = Math.Min(ChunkSize, n - firstColumn);
        for (int k = start; k < start + depth; k++)
        {
            Span<double> row = matrix.AsSpan((k * n) + firstColumn, width);
            TensorPrimitives.Divide(row, matrix[(k * n) + k], row);
            for (int i = k + 1; i < start + depth; i++)
            {
                Span<double> target = matrix.AsSpan((i * n) + firstColumn, width);
                TensorPrimitives.FusedMultiplyAdd(row, -matrix[(k * n) + i], target, target);
            }
        }
    }

    /// <summary>Up to 64 rows below the block: A −= XᵀX from the diagonal to the right.</summary>
    private static void UpdateTrailing(double[] matrix, int n, int start, int depth, int firstRow)
    {
        int rows = Math.Min(ChunkSize, n - firstRow);
        double[] left = new double[rows * depth];
        for (int k = 0; k < depth; k++)
        {
            ReadOnlySpan<double> source = matrix.AsSpan(((start + k) * n) + firstRow, rows);
            for (int row = 0; row < rows; row++)
            {
                left[(row * depth) + k] = source[row];
            }
        }

        fixed (double* a = matrix, x = left)
        {
            BlockUpdate.Subtract(
                a + ((long)firstRow * n) + firstRow, n, x, depth, a + ((long)start * n) + firstRow, n, rows, depth, n - firstRow);
        }
    }
}
