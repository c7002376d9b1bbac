namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void MatMul(Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha, bool accumulate, Tensor c, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        ArgumentNullException.ThrowIfNull(c);
        (bool batchedA, bool batchedB, bool batchedC) = (a.Shape.Rank > 2, b.Shape.Rank > 2, c.Shape.Rank > 2);
        long batch = BatchOf(batchedA ? a.Shape : b.Shape);
        (long m, long n) = (c.Shape[-2], c.Shape[-1]);
        long k = a.Shape[transposeA ? -2 : -1];
        (long stepA, long stepB, long stepC) = (batchedA ? a.Shape[-2] : 0, batchedB ? b.Shape[-2] : 0, batchedC ? m * n : 0);
        if (batchedA && !batchedB && !transposeA)
        {
            // One plain matrix on the right: the batch is only more rows.
            (m, batch) = (m * batch, 1);
        }
        else if (batchedA && batchedB && !batchedC && transposeA && !transposeB)
        {
            // Σ aᵀ·b over the batch is one product with a longer inner dimension.
            (k, batch) = (k * batch, 1);
        }

        GemmShape shape = new(m, n, k, alpha, precision == Precision.BFloat16);
        (MatrixSource left, MatrixSource right) = (MatrixSource.Of(a), MatrixSource.Of(b));
        for (long i = 0; i < batch; i++)
        {
            Gemm(shape, left.Skip(i * stepA), transposeA, right.Skip(i * stepB), transposeB, accumulate || (i > 0 && !batchedC), Floats(c) + (i * stepC));
        }
    }

    /// <inheritdoc/>
    public void WeightMatMul(Tensor x, WeightMatrix weight, bool transposeWeight, bool accumulate, Tensor y, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(y);
        GemmShape shape = new(x.Shape.Rows, y.Shape.Columns, x.Shape.Columns, 1f, precision == Precision.BFloat16);
        Gemm(shape, MatrixSource.Of(x), false, MatrixSource.Of(weight, _level), transposeWeight, accumulate, Floats(y));
        GC.KeepAlive(weight);
    }

    private static long BatchOf(Shape shape) => shape.Rank switch { 3 => shape[0], 4 => shape[0] * shape[1], _ => 1 };
}
