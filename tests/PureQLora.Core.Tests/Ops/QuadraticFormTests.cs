namespace PureQLora.Core.Tests;

public sealed class QuadraticFormTests
{
    [Theory]
    [InlineData(CpuTier.Scalar)]
    [InlineData(CpuTier.Vector128)]
    [InlineData(CpuTier.Avx2)]
    [InlineData(CpuTier.Avx512)]
    public void QuadraticForm_GivenAnySizes_ShouldEqualTheSumInFloat64(CpuTier tier)
    {
        using CpuBackend backend = CpuTiers.Open(tier);
        foreach ((int rows, int columns) in new[] { (1, 1), (3, 31), (70, 256), (5, 300), (33, 601) })
        {
            (float[] x, double[] matrix) = Inputs(rows, columns, scale: 1e30);

            double actual = backend.QuadraticForm(x, columns, matrix);

            double expected = 0;
            for (int row = 0; row < rows; row++)
            {
                for (int i = 0; i < columns; i++)
                {
                    for (int j = 0; j < columns; j++)
                    {
                        expected += x[(row * columns) + i] * matrix[(i * columns) + j] * x[(row * columns) + j];
                    }
                }
            }

            // Float32 products: a few roundings of 2^-24, of terms that cancel in part.
            Assert.InRange(actual / expected, 1 - 1e-5, 1 + 1e-5);
        }
    }

    [Fact]
    public void QuadraticForm_GivenZeros_ShouldBeZero()
    {
        using CpuBackend backend = new(threads: 1);

        Assert.Equal(0, backend.QuadraticForm(new float[6], 3, new double[9]));
        Assert.Equal(0, backend.QuadraticForm([1, 2, 3], 3, new double[9]));
    }

    [Fact]
    public void QuadraticForm_GivenAnyNumberOfThreads_ShouldHaveTheSameBits()
    {
        using CpuBackend one = new(threads: 1);
        using CpuBackend many = new(threads: 5);
        (float[] x, double[] matrix) = Inputs(300, 500, scale: 1);

        Assert.Equal(one.QuadraticForm(x, 500, matrix), many.QuadraticForm(x, 500, matrix));
    }

    /// <summary>H = scale · XᵀX of as many random rows as columns.</summary>
    private static (float[] X, double[] Matrix) Inputs(int rows, int columns, double scale)
    {
        var random = new Random((rows * 1000) + columns);
        float[] x = [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f)];
        float[] inputs = [.. Enumerable.Range(0, columns * columns).Select(_ => random.NextSingle() - 0.25f)];
        double[] matrix = new double[columns * columns];
        for (int row = 0; row < columns; row++)
        {
            ReadOnlySpan<float> values = inputs.AsSpan(row * columns, columns);
            for (int i = 0; i < columns; i++)
            {
                for (int j = 0; j < columns; j++)
                {
                    matrix[(i * columns) + j] += scale * values[i] * values[j];
                }
            }
        }

        return (x, matrix);
    }
}
