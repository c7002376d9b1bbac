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
            First = new() { LeftIsInner = !transposeA, RightIsInner = transposeB, Depth = k },
            Precision = precision,
            Alpha = alpha,
            M = m,
            N = n,
            RowStride = n,
            ColumnStride = 1,
        };
        for (long i = 0; i < batch; i++)
        {
            // Items that share one c are summed in order.
            problem.First.Left = MatrixSource.Of(a).Skip(i * stepA);
            problem.First.Right = MatrixSource.Of(b).Skip(i * stepB);
            problem.Accumulate = accumulate || (!batchedC && i > 0);
            problem.C = Floats(c) + (batchedC ? i * m * n : 0);
            Gemm(problem);
        }
    }

    /// <inheritdoc/>
    public void WeightMatMul(Tensor x, WeightMatrix weight, bool transposeWeight, bool accumulate, Tensor y, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(y);
        Gemm(WeightProblem(x, weight, transposeWeight, accumulate, y, precision));
        GC.KeepAlive(weight);
        GC.KeepAlive(x);
    }

    private GemmProblem WeightProblem(Tensor x, WeightMatrix weight, bool transposeWeight, bool accumulate, Tensor y, Precision precision) => new()
    {
        First = new()
        {
            Left = MatrixSource.Of(x),
            Right = MatrixSource.Of(weight, _tier),
            LeftIsInner = true,
            RightIsInner = transposeWeight,
            Depth = x.Shape.Columns,
        },
        Precision = precision,
        Accumulate = accumulate,
        Alpha = 1f,
        M = x.Shape.Rows,
        N = y.Shape.Columns,
        C = Floats(y),
        RowStride = y.Shape.Columns,
        ColumnStride = 1,
    };

    private static long BatchOf(Shape shape) => shape.Rank switch { 3 => shape[0], 4 => shape[0] * shape[1], _ => 1 };
}
