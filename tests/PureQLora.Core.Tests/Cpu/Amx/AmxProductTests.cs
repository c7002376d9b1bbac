namespace PureQLora.Core.Tests;

/// <summary>Whole products on tiles under the interpreter: packing, blocks, parts, edges.</summary>
public sealed unsafe class AmxProductTests
{
    [Theory]
    [InlineData(1, 32, 32, true, true)]
    [InlineData(33, 31, 7, true, true)]
    [InlineData(16, 64, 8, false, false)]
    [InlineData(70, 97, 130, true, false)]
    [InlineData(70, 97, 130, false, true)]
    [InlineData(290, 40, 545, true, true)]     // more rows than are multiplied at once, two inner blocks, a rest
    public void Product_GivenAnyExtentsAndOrders_ShouldMatchFloat64(int m, int n, int k, bool leftIsInner, bool rightIsInner)
    {
        RequireVectors();
        Tensor a = MatrixReference.Dense(leftIsInner ? m : k, leftIsInner ? k : m, DataType.Float32, 1);
        Tensor b = MatrixReference.Dense(rightIsInner ? n : k, rightIsInner ? k : n, DataType.BFloat16, 2);
        GemmTerm term = new() { Left = MatrixSource.Of(a), Right = MatrixSource.Of(b), LeftIsInner = leftIsInner, RightIsInner = rightIsInner, Depth = k };
        double[] expected = MatrixReference.Product(Rounded(a), !leftIsInner, Rounded(b), rightIsInner, m, n, k);
        GradientCheck.Close(expected, Run(new() { First = term, M = m, N = n, Alpha = 1f }));
        GradientCheck.Close([.. expected.Select(v => (-0.5 * v) + 1)], Run(new() { First = term, M = m, N = n, Alpha = -0.5f, Accumulate = true }));
        GradientCheck.Close(Transposed(expected, m, n), Run(new GemmProblem() { First = term, M = m, N = n, Alpha = 1f }, turned: true));
    }

    [Theory]
    [InlineData(40, 256, 384, 128)]
    [InlineData(17, 160, 128, 32)]
    [InlineData(5, 33, 70, 32)]
    public void Product_GivenWeightsOf4Bits_ShouldMatchFloat64InBothDirections(int tokens, int outDim, int inDim, int groupSize)
    {
        RequireVectors();
        using WeightHolder weight = new(outDim, inDim, groupSize);
        double[] w = MatrixReference.Rounded(Array.ConvertAll(weight.Matrix.Dequantize(), v => (double)v));
        Tensor x = MatrixReference.Dense(tokens, inDim, DataType.Float32, 3);
        GemmTerm forward = new() { Left = MatrixSource.Of(x), Right = weight.Source, LeftIsInner = true, RightIsInner = true, Depth = inDim };
        GradientCheck.Close(
            MatrixReference.Product(Rounded(x), false, w, true, tokens, outDim, inDim), Run(new() { First = forward, M = tokens, N = outDim, Alpha = 1f }));

        Tensor dy = MatrixReference.Dense(tokens, outDim, DataType.Float32, 4);
        GemmTerm backward = new() { Left = MatrixSource.Of(dy), Right = weight.Source, LeftIsInner = true, RightIsInner = false, Depth = outDim };
        GradientCheck.Close(
            MatrixReference.Product(Rounded(dy), false, w, false, tokens, inDim, outDim), Run(new() { First = backward, M = tokens, N = inDim, Alpha = 1f }));
    }

    [Fact]
    public void Product_GivenTwoTerms_ShouldAddThem()
    {
        RequireVectors();
        (int m, int n, int k, int rank) = (37, 65, 96, 8);
        Tensor x = MatrixReference.Dense(m, k, DataType.Float32, 1), w = MatrixReference.Dense(n, k, DataType.Float32, 2);
        Tensor u = MatrixReference.Dense(m, rank, DataType.Float32, 3), b = MatrixReference.Dense(n, rank, DataType.Float32, 4);
        GemmProblem problem = new()
        {
            First = new() { Left = MatrixSource.Of(x), Right = MatrixSource.Of(w), LeftIsInner = true, RightIsInner = true, Depth = k },
            Second = new() { Left = MatrixSource.Of(u), Right = MatrixSource.Of(b), LeftIsInner = true, RightIsInner = true, Depth = rank },
            M = m,
            N = n,
            Alpha = 1f,
        };
        double[] first = MatrixReference.Product(Rounded(x), false, Rounded(w), true, m, n, k);
        double[] second = MatrixReference.Product(Rounded(u), false, Rounded(b), true, m, n, rank);
        GradientCheck.Close([.. first.Zip(second, (p, q) => p + q)], Run(problem));
    }

    [Fact]
    public void Product_GivenAnyNumberOfThreads_ShouldBeBitIdentical()
    {
        RequireVectors();
        Tensor a = MatrixReference.Dense(70, 100, DataType.Float32, 1), b = MatrixReference.Dense(600, 100, DataType.Float32, 2);
        GemmTerm term = new() { Left = MatrixSource.Of(a), Right = MatrixSource.Of(b), LeftIsInner = true, RightIsInner = true, Depth = 100 };
        float[] one = Run(new() { First = term, M = 70, N = 600, Alpha = 1f }, threads: 1).ToArray();
        Assert.Equal(one, Run(new() { First = term, M = 70, N = 600, Alpha = 1f }, threads: 3).ToArray());
    }

    private static void RequireVectors() => Assert.SkipUnless(CpuFeatures.Avx512, "Operands are packed with AVX-512.");

    private static double[] Rounded(Tensor tensor) => MatrixReference.Rounded(Values(tensor));

    private static double[] Values(Tensor tensor)
    {
        MatrixSource source = MatrixSource.Of(tensor);
        int columns = (int)tensor.Shape.Columns;
        float[] buffer = new float[columns];
        double[] values = new double[tensor.Shape.Count];
        fixed (float* memory = buffer)
        {
            for (int row = 0; row < tensor.Shape.Rows; row++)
            {
                float* at = source.Row(row, 0, columns, memory);
                for (int j = 0; j < columns; j++)
                {
                    values[(row * columns) + j] = at[j];
                }
            }
        }

        return values;
    }

    private static double[] Transposed(double[] values, int rows, int columns) =>
        [.. Enumerable.Range(0, values.Length).Select(i => values[((i % rows) * columns) + (i / rows)])];

    /// <summary>The product; c is all ones before.</summary>
    /// <param name="problem">Operands and extents.</param>
    /// <param name="turned">Compute cᵀ, by the other operand's rows.</param>
    /// <param name="threads">Threads of the backend.</param>
    private static Tensor Run(GemmProblem problem, bool turned = false, int threads = 2)
    {
        using CpuBackend backend = new(threads);
        (long rows, long columns) = turned ? (problem.N, problem.M) : (problem.M, problem.N);
        Tensor c = Tensor.From([.. Enumerable.Repeat(1f, (int)(rows * columns))], new Shape(rows, columns));
        problem.Precision = Precision.BFloat16;
        problem.C = (float*)c.Host();
        (problem.RowStride, problem.ColumnStride) = turned ? (1L, problem.M) : (problem.N, 1L);
        backend.AmxProduct<EmulatedAmxKernels>(problem);
        GC.KeepAlive(c);
        return c;
    }

    private sealed class WeightHolder(int outDim, int inDim, int groupSize) : IDisposable
    {
        public QuantizedMatrix Matrix { get; } = MatrixReference.Quantized(outDim, inDim, 4, groupSize, false, 5);

        public MatrixSource Source => MatrixSource.Of(new WeightMatrix(Matrix), CpuTier.Avx512);

        public void Dispose() => Matrix.Dispose();
    }
}
