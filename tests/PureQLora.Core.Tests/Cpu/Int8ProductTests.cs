namespace PureQLora.Core.Tests;

/// <summary>
/// Products of rows rounded to 8-bit integers: sums of integers are exact and floats are added in one order, so that every tier, every number of
/// rows and of threads gives the same bits.
/// </summary>
public sealed class Int8ProductTests
{
    private const int MostRows = 50;

    public static TheoryData<int, int> Weights
    {
        get
        {
            TheoryData<int, int> data = new();
            foreach (int bits in new[] { 2, 3, 4, 8 })
            {
                foreach (int groupSize in new[] { 5, 20, 32, 64, 96, 128, 256, -1 })
                {
                    data.Add(bits, groupSize);
                }
            }

            return data;
        }
    }

    private static IEnumerable<CpuTier> Tiers => Enum.GetValues<CpuTier>().Where(tier => tier <= CpuBackend.SupportedTier);

    [Theory]
    [MemberData(nameof(Weights))]
    public void Product_GivenAnyTier_ShouldGiveTheSameBits(int bits, int groupSize)
    {
        CpuBackend[] backends = [.. Tiers.Select(tier => new CpuBackend(2, tier))];
        foreach ((int outDim, int inDim) in new[] { (70, 384), (37, 300), (33, 131), (32, 71), (9, 1408) })
        {
            using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, bits, groupSize, false, 3);
            foreach (int rows in new[] { 1, 11 })
            {
                float[] x = MatrixReference.Random(rows * inDim, 4);
                x[inDim / 2] = 40f;                            // makes the steps of the blocks differ
                float[] expected = Multiply(backends[0], x, matrix, rows);
                Assert.All(backends, backend => Assert.Equal(expected, Multiply(backend, x, matrix, rows)));
            }
        }

        Array.ForEach(backends, backend => backend.Dispose());
    }

    [Theory]
    [MemberData(nameof(Weights))]
    public void Product_GivenAnyNumberOfRows_ShouldGiveEachTheSameBits(int bits, int groupSize)
    {
        using CpuBackend backend = new(2);
        foreach ((int outDim, int inDim) in new[] { (69, 384), (101, 1300) })
        {
            using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, bits, groupSize, false, 3);
            float[] x = MatrixReference.Random(MostRows * inDim, 4);
            float[] alone = [.. x.Chunk(inDim).SelectMany(row => Multiply(backend, row, matrix, 1))];
            foreach (int rows in new[] { 3, 4, 9, MostRows })
            {
                Assert.Equal(alone[..(rows * outDim)], Multiply(backend, x[..(rows * inDim)], matrix, rows));
            }
        }
    }

    [Theory]
    [InlineData(4, 128)]
    [InlineData(3, 64)]
    [InlineData(8, 32)]
    public void Product_GivenAnyNumberOfThreads_ShouldGiveTheSameBits(int bits, int groupSize)
    {
        const int outDim = 1000, inDim = 512, rows = 19;
        using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, bits, groupSize, false, 3);
        float[] x = MatrixReference.Random(rows * inDim, 4);
        float[][] results = [.. new[] { 1, 2, 3, 7 }.Select(threads =>
        {
            using CpuBackend backend = new(threads);
            return Multiply(backend, x, matrix, rows);
        })];
        Assert.All(results, result => Assert.Equal(results[0], result));
    }

    [Theory]
    [InlineData(69)]
    [InlineData(64)]
    public void Product_GivenASumToAddTo_ShouldAddEveryRowOnce(int outDim)
    {
        const int inDim = 256, rows = 9;
        using CpuBackend backend = new(2);
        using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, 4, 128, false, 3);
        float[] x = MatrixReference.Random(rows * inDim, 4);
        float[] product = Multiply(backend, x, matrix, rows);
        Tensor input = Tensor.From(x, new Shape(rows, inDim));
        Tensor sum = Tensor.From(MatrixReference.Random(rows * outDim, 5), new Shape(rows, outDim));
        float[] expected = [.. sum.ToArray().Zip(product, (before, added) => before + added)];
        backend.WeightMatMul(input, new WeightMatrix(matrix), transposeWeight: true, accumulate: true, sum, Precision.Int8);
        GC.KeepAlive(input);
        Assert.Equal(expected, sum.ToArray());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    public void Product_GivenBFloat16Weights_ShouldRoundNoMoreThanBFloat16Does(int rows)
    {
        const int outDim = 40, inDim = 256;
        using CpuBackend backend = new(2);
        Tensor dense = MatrixReference.Dense(outDim, inDim, DataType.BFloat16, 3);
        float[] x = MatrixReference.Random(rows * inDim, 4);
        Tensor input = Tensor.From(x, new Shape(rows, inDim));
        Tensor y = Tensor.Create(new Shape(rows, outDim));
        backend.WeightMatMul(input, new WeightMatrix(dense), transposeWeight: true, accumulate: false, y, Precision.Int8);
        GC.KeepAlive(input);
        (float[] w, float[] actual) = (dense.ToArray(), y.ToArray());
        for (int i = 0; i < actual.Length; i++)
        {
            (double exact, double bound) = (0, 1e-5);
            for (int k = 0; k < inDim; k++)
            {
                double product = (double)x[(i / outDim * inDim) + k] * w[(i % outDim * inDim) + k];
                exact += product;
                bound += Math.Abs(product) / 256;              // eight significant bits, to nearest
            }

            Assert.InRange(actual[i], exact - bound, exact + bound);
        }
    }

    private static float[] Multiply(CpuBackend backend, float[] x, QuantizedMatrix matrix, int rows)
    {
        Tensor input = Tensor.From(x, new Shape(rows, matrix.InDim));
        Tensor y = Tensor.Create(new Shape(rows, matrix.OutDim));
        backend.WeightMatMul(input, new WeightMatrix(matrix), transposeWeight: true, accumulate: false, y, Precision.Int8);

        // Kernels read bare pointers; their caller keeps the operands reachable.
        GC.KeepAlive(input);
        return y.ToArray();
    }
}
