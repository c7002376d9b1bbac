using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Cholesky factorisation in float64, by blocks of 128 columns: nearly all of its work is <see cref="BlockUpdate"/>.</summary>
internal static unsafe class BlockedCholesky
{
    private const int BlockSize = 128;
    private const int ChunkSize = 96;

    /// <summary>Rows of a triangle that are eliminated one by one; larger ones are halved.</summary>
    private const int Leaf = 8;

    /// <summary>Replaces a symmetric matrix by T, upper triangular in row-major order with TᵀT = A. Column-major, that is L with LLᵀ = A.</summary>
    /// <param name="matrix">A; only its upper triangle (row-major) is read. [n, n]</param>
    /// <param name="n">Its order.</param>
    /// <param name="backend">Computes.</param>
    /// <returns>False where A is not positive definite; its content is then of no use.</returns>
    public static bool TryFactor(double[] matrix, int n, CpuBackend backend)
    {
        fixed (double* pinned = matrix)
        {
            DoubleMatrix a = new(pinned, n);
            for (int start = 0; start < n; start += BlockSize)
            {
                int depth = Math.Min(BlockSize, n - start);
                if (!TryFactorDiagonal(matrix, n, start, depth))
                {
                    return false;
                }

                int end = start + depth;
                DoubleMatrix diagonal = a.From(start, start);
                DoubleMatrix right = a.From(start, end);  // becomes X with TᵀX = A
                DoubleMatrix trailing = a.From(end, end); // −= XᵀX
                backend.For(n - end, ChunkSize, (first, last) =>
                    SolvePanel(backend.VectorBits, diagonal, right.From(0, (int)first), depth, (int)(last - first)));
                backend.For(n - end, ChunkSize, (first, last) =>
                    UpdateTrailing(backend.VectorBits, trailing.From((int)first, (int)first), right.From(0, (int)first), depth, (int)(last - first), n - end - (int)first));
            }
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

    /// <summary>Some columns right of the diagonal block: TᵀX = A from the top row down.</summary>
    private static void SolvePanel(int vectorBits, DoubleMatrix t, DoubleMatrix x, int depth, int width)
    {
        if (depth > Leaf)
        {
            int half = depth / 2;
            SolvePanel(vectorBits, t, x, half, width);
            DoubleMatrix transposed = new(t.At(0, half), 1, t.RowStride);
            BlockUpdate.Subtract(vectorBits, x.From(half, 0), transposed, x, depth - half, half, width);
            SolvePanel(vectorBits, t.From(half, half), x.From(half, 0), depth - half, width);
            return;
        }

        for (int k = 0; k < depth; k++)
        {
            Span<double> row = new(x.At(k, 0), width);
            TensorPrimitives.Divide(row, *t.At(k, k), row);
            for (int i = k + 1; i < depth; i++)
            {
                Span<double> target = new(x.At(i, 0), width);
                TensorPrimitives.FusedMultiplyAdd(row, -*t.At(k, i), target, target);
            }
        }
    }

    /// <summary>Some rows below the block: A −= XᵀX from the diagonal to the right.</summary>
    private static void UpdateTrailing(int vectorBits, DoubleMatrix a, DoubleMatrix x, int depth, int rows, int columns)
    {
        // Xᵀ side by side: columns of X lie a power of two apart as a rule, and would share one set of the cache.
        double* left = stackalloc double[ChunkSize * BlockSize];
        for (int k = 0; k < depth; k++)
        {
            for (int row = 0; row < rows; row++)
            {
                left[(row * depth) + k] = *x.At(k, row);
            }
        }

        BlockUpdate.Subtract(vectorBits, a, new DoubleMatrix(left, depth), x, rows, depth, columns);
    }
}
