namespace PureQLora.Core.Tests;

public sealed class SymmetricUpdateTests
{
    [Theory]
    [InlineData(CpuTier.Scalar)]
    [InlineData(CpuTier.Vector128)]
    [InlineData(CpuTier.Avx2)]
    [InlineData(CpuTier.Avx512)]
    public void SymmetricUpdate_GivenAnySizes_ShouldAddTheProductsOfTheUpperTriangle(CpuTier tier)
    {
        using CpuBackend backend = CpuTiers.Open(tier);
        foreach ((int rows, int columns) in new[] { (0, 3), (1, 1), (3, 31), (129, 48), (130, 49), (700, 301), (1100, 50) })
        {
            float[] x = Inputs(rows, columns);
            double[] sum = Start(columns);

            backend.SymmetricUpdate(x, columns, sum);

            double[] before = Start(columns);
            for (int i = 0; i < columns; i++)
            {
                for (int j = i; j < columns; j++)
                {
                    double expected = before[(i * columns) + j];
                    for (int row = 0; row < rows; row++)
                    {
                        expected += (double)x[(row * columns) + i] * x[(row * columns) + j];
                    }

                    // Float32 sums of up to 128 products below 1/4: 128 roundings of 2^-24 at sums below 32, six times over.
                    Assert.Equal(expected, sum[(i * columns) + j], 3e-5);
                }
            }
        }
    }

    [Fact]
    public void SymmetricUpdate_GivenRowsInPortionsOf128_ShouldHaveTheSameBits()
    {
        const int Columns = 70;
        using CpuBackend backend = new(threads: 1);
        float[] x = Inputs(1000, Columns);
        double[] whole = Start(Columns);
        double[] portions = Start(Columns);

        backend.SymmetricUpdate(x, Columns, whole);
        backend.SymmetricUpdate(x.AsSpan(0, 128 * Columns), Columns, portions);
        backend.SymmetricUpdate(x.AsSpan(128 * Columns, 256 * Columns), Columns, portions);
        backend.SymmetricUpdate(x.AsSpan(384 * Columns), Columns, portions);

        AssertSameUpperTriangle(whole, portions, Columns);
    }

    [Theory]
    [InlineData(CpuTier.Scalar)]
    [InlineData(CpuTier.Vector128)]
    [InlineData(CpuTier.Avx2)]
    [InlineData(CpuTier.Avx512)]
    public void SymmetricUpdate_GivenAnyNumberOfThreads_ShouldHaveTheSameBits(CpuTier tier)
    {
        const int Columns = 500;
        using CpuBackend one = CpuTiers.Open(tier, threads: 1);
        using CpuBackend many = CpuTiers.Open(tier, threads: 5);
        float[] x = Inputs(300, Columns);
        double[] first = Start(Columns);
        double[] second = Start(Columns);

        one.SymmetricUpdate(x, Columns, first);
        many.SymmetricUpdate(x, Columns, second);

        AssertSameUpperTriangle(first, second, Columns);
    }

    [Fact]
    public void For_GivenADelegate_ShouldCoverEachItemOnceAndPassOnItsException()
    {
        using CpuBackend backend = new(threads: 3);
        int[] visits = new int[1000];

        backend.For(visits.Length, 7, (start, end) =>
        {
            for (long i = start; i < end; i++)
            {
                Interlocked.Increment(ref visits[i]);
            }
        });

        Assert.All(visits, count => Assert.Equal(1, count));
        Assert.Throws<InvalidOperationException>(() => backend.For(100, 1, (start, _) =>
        {
            if (start == 57)
            {
                throw new InvalidOperationException("57");
            }
        }));
    }

    private static float[] Inputs(int rows, int columns)
    {
        var random = new Random((rows * 1000) + columns);
        return [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f)];
    }

    private static double[] Start(int columns) => [.. Enumerable.Range(0, columns * columns).Select(i => i % 7 / 8.0)];

    private static void AssertSameUpperTriangle(double[] expected, double[] actual, int columns)
    {
        for (int i = 0; i < columns; i++)
        {
            Assert.True(expected.AsSpan((i * columns) + i, columns - i).SequenceEqual(actual.AsSpan((i * columns) + i, columns - i)), $"row {i}");
        }
    }
}
