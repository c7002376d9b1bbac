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
        (long stepA, long stepB) = (batchedA ? a.Shape[-2] : 0, batchedB ? b.Shape[-2] : 0);
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
        else if (!batchedC && batch == 0)
        {
            // An empty sum.
            (k, batch) = (0, 1);
        }

        GemmProblem problem = new()
        {
            A = MatrixSource.Of(a),
            B = MatrixSource.Of(b),
            TransposeA = transposeA,
            TransposeB = transposeB,
            RoundsOperands = precision == Precision.BFloat16,
            Accumulate = accumulate,
            Alpha = alpha,
            M = m,
            N = n,
            K = k,
            BatchStepA = stepA,
            BatchStepB = stepB,
            Batch = batch,
            C = Floats(c),
            RowStride = n,
            ColumnStride = 1,
        };
        if (batch > 1 && !batchedC)
        {
            SumOverBatch(problem);
            return;
        }

        Gemm(ref problem);
    }

    /// <inheritdoc/>
    public void WeightMatMul(Tensor x, WeightMatrix weight, bool transposeWeight, bool accumulate, Tensor y, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(y);
        GemmProblem problem = new()
        {
            A = MatrixSource.Of(x),
            B = MatrixSource.Of(weight, _tier),
            TransposeB = transposeWeight,
            RoundsOperands = precision == Precision.BFloat16,
            Accumulate = accumulate,
            Alpha = 1f,
            M = x.Shape.Rows,
            N = y.Shape.Columns,
            K = x.Shape.Columns,
            Batch = 1,
            C = Floats(y),
            RowStride = y.Shape.Columns,
            ColumnStride = 1,
        };
        Gemm(ref problem);
        GC.KeepAlive(weight);
    }

    private void SumOverBatch(in GemmProblem problem)
    {
        for (long i = 0; i < problem.Batch; i++)
        {
            GemmProblem item = problem with { Batch = 1, A = problem.A.Skip(i * problem.BatchStepA), B = problem.B.Skip(i * problem.BatchStepB) };
            item.Accumulate |= i > 0;
            Gemm(ref item);
        }
    }

    private static long BatchOf(Shape shape) => shape.Rank switch { 3 => shape[0], 4 => shape[0] * shape[1], _ => 1 };
}
