namespace PureQLora.Core.Tests;

/// <summary>
/// Products of a batch of rows with weights that are expanded to bfloat16 piece by piece: every number of rows, widths that end in the
/// middle of a piece, numbers of weight rows that end in the middle of a group.
/// </summary>
public sealed class ExpandedProductTests
{
    private const int MostRows = 50;

    public static TheoryData<string, int> Codes
    {
        get
        {
            TheoryData<string, int> data = new();
            foreach (string codes in new[] { "2", "3", "4", "8", "nf4" })
            {
                foreach (int groupSize in new[] { 32, 64, 96, 128, 256, -1 })
                {
                    data.Add(codes, groupSize);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Product_GivenAnyNumberOfRows_ShouldGiveEachTheSameBits(string codes, int groupSize)
    {
        using CpuBackend backend = Open();
        foreach ((int outDim, int inDim) in new[] { (37, 384), (19, 1408), (8, 1280) })
        {
            using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, codes, groupSize, false, 3);
            CheckRows(backend, new WeightMatrix(matrix), outDim, inDim);
        }
    }

    [Theory]
    [InlineData(37, 384)]
    [InlineData(8, 71)]
    [InlineData(301, 1300)]
    public void Product_GivenBFloat16Weights_ShouldGiveEachRowTheSameBits(int outDim, int inDim)
    {
        using CpuBackend backend = Open();
        Tensor dense = MatrixReference.Dense(outDim, inDim, DataType.BFloat16, 3);
        CheckRows(backend, new WeightMatrix(dense), outDim, inDim, fewest: 3);
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Product_GivenSeveralPieces_ShouldMatchFloat64(string codes, int groupSize)
    {
        using CpuBackend backend = Open();
        foreach ((int outDim, int inDim) in new[] { (21, 1300), (11, 2176), (7, 1300) })
        {
            using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, codes, groupSize, false, 3);
            double[] w = MatrixReference.Rounded(Array.ConvertAll(matrix.Dequantize(), v => (double)v));
            CheckValues(backend, new WeightMatrix(matrix), w, outDim, inDim);
        }
    }

    [Theory]
    [InlineData(21, 1300)]
    [InlineData(32, 128)]
    [InlineData(9, 31)]
    [InlineData(5, 300)]
    public void Product_GivenBFloat16Weights_ShouldMatchFloat64(int outDim, int inDim)
    {
        using CpuBackend backend = Open();
        Tensor dense = MatrixReference.Dense(outDim, inDim, DataType.BFloat16, 3);
        CheckValues(backend, new WeightMatrix(dense), Array.ConvertAll(dense.ToArray(), v => (double)v), outDim, inDim);
    }

    [Theory]
    [InlineData(4, 128)]
    [InlineData(4, 64)]
    [InlineData(3, 32)]
    [InlineData(8, 128)]
    [InlineData(16, 0)]
    public void Product_GivenASumToAddTo_ShouldAddEveryRowOnce(int bits, int groupSize)
    {
        using CpuBackend backend = Open();
        foreach (int outDim in new[] { 8, 13, 64, 67 })
        {
            const int inDim = 1408;
            using QuantizedMatrix? matrix = bits == 16 ? null : MatrixReference.Quantized(outDim, inDim, bits, groupSize, false, 3);
            WeightMatrix weight = matrix is null ? new(MatrixReference.Dense(outDim, inDim, DataType.BFloat16, 3)) : new(matrix);
            foreach (int rows in new[] { 5, 16, 23 })
            {
                float[] x = MatrixReference.Random(rows * inDim, 4);
                float[] before = MatrixReference.Random(rows * outDim, 5);
                float[] product = Multiply(backend, x, weight, rows, new float[rows * outDim], accumulate: false);
                float[] after = Multiply(backend, x, weight, rows, before, accumulate: true);
                for (int i = 0; i < after.Length; i++)
                {
                    Assert.Equal(before[i] + product[i], after[i]);
                }
            }
        }
    }

    [Theory]
    [InlineData(4, 32)]
    [InlineData(3, 128)]
    [InlineData(8, 64)]
    [InlineData(16, 0)]
    public void Product_GivenAnyNumberOfThreads_ShouldBeBitIdentical(int bits, int groupSize)
    {
        const int outDim = 301, inDim = 1408, rows = 17;
        using QuantizedMatrix? matrix = bits == 16 ? null : MatrixReference.Quantized(outDim, inDim, bits, groupSize, false, 3);
        WeightMatrix weight = matrix is null ? new(MatrixReference.Dense(outDim, inDim, DataType.BFloat16, 3)) : new(matrix);
        float[] x = MatrixReference.Random(rows * inDim, 4);
        float[]? first = null;
        foreach (int threads in new[] { 1, 2, 3, 7 })
        {
            using CpuBackend backend = Open(threads);
            float[] y = Multiply(backend, x, weight, rows, new float[rows * outDim], accumulate: false);
            first ??= y;
            Assert.Equal(first, y);
        }
    }

    [Fact]
    public void Product_GivenNaNBehindTheEndOfARow_ShouldNotSeeIt()
    {
        const int outDim = 16, inDim = 71, rows = 5;
        using CpuBackend backend = Open();
        Tensor dense = MatrixReference.Dense(outDim, inDim, DataType.BFloat16, 3);
        dense.Storage.Write(3 * inDim * sizeof(ushort), BitConverter.GetBytes((ushort)0x7FC0));
        float[] y = Multiply(backend, MatrixReference.Random(rows * inDim, 4), new WeightMatrix(dense), rows, new float[rows * outDim], accumulate: false);
        for (int i = 0; i < y.Length; i++)
        {
            Assert.Equal(i % outDim == 3, float.IsNaN(y[i]));
        }
    }

    private static CpuBackend Open(int threads = 2)
    {
        Assert.SkipWhen(CpuBackend.Obstacle(CpuTier.Avx512BFloat16) is not null, CpuBackend.Obstacle(CpuTier.Avx512BFloat16) ?? "");
        return new CpuBackend(threads, CpuTier.Avx512BFloat16);
    }

    /// <summary>Compares each batch of the first rows with all rows together.</summary>
    private static void CheckRows(CpuBackend backend, WeightMatrix weight, int outDim, int inDim, int fewest = 1)
    {
        const int most = 48;
        float[] x = MatrixReference.Random(most * inDim, 4);
        float[] together = Multiply(backend, x, weight, most, new float[most * outDim], accumulate: false);
        for (int rows = fewest; rows < most; rows++)
        {
            float[] y = Multiply(backend, x[..(rows * inDim)], weight, rows, new float[rows * outDim], accumulate: false);
            Assert.True(y.AsSpan().SequenceEqual(together.AsSpan(0, y.Length)), $"{rows} rows of {inDim} differ from {most}.");
        }
    }

    private static void CheckValues(CpuBackend backend, WeightMatrix weight, double[] w, int outDim, int inDim)
    {
        foreach (int rows in new[] { 1, 3, 7, 22, MostRows })
        {
            float[] x = MatrixReference.Random(rows * inDim, 4);
            double[] rounded = Array.ConvertAll(x, v => (double)BFloat16.Round(v));
            double[] expected = MatrixReference.Product(rounded, false, w, true, rows, outDim, inDim);
            float[] y = Multiply(backend, x, weight, rows, new float[rows * outDim], accumulate: false);
            for (int i = 0; i < y.Length; i++)
            {
                // Float32 rounding of a sum of up to 2176 terms of about one, in 32 parts: some 70 roundings of 6e-8 times the partial sums.
                Assert.True(
                    Math.Abs(expected[i] - y[i]) <= 3e-5 * (1 + Math.Abs(expected[i])),
                    $"{rows} × [{outDim}, {inDim}], element {i}: expected {expected[i]:G9}, got {y[i]:G9}");
            }
        }
    }

    private static float[] Multiply(CpuBackend backend, float[] x, WeightMatrix weight, int rows, float[] start, bool accumulate)
    {
        Tensor input = Tensor.From(x, new Shape(rows, weight.InDim));
        Tensor y = Tensor.From(start, new Shape(rows, weight.OutDim));
        backend.WeightMatMul(input, weight, transposeWeight: true, accumulate, y, Precision.BFloat16);

        // Kernels read bare pointers; their caller keeps the operands reachable.
        GC.KeepAlive(input);
        return y.ToArray();
    }
}
