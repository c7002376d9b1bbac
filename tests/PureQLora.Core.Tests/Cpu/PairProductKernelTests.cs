namespace PureQLora.Core.Tests;

public sealed unsafe class PairProductKernelTests
{
    [Theory]
    [InlineData(1, 16, 1)]
    [InlineData(13, 32, 3)]
    [InlineData(26, 48, 5)]
    [InlineData(23, 64, 32)]
    [InlineData(7, 80, 8)]
    [InlineData(64, 128, 2)]
    public void PairProductKernel_GivenOddSizes_ShouldMatchFloat64(int rows, int columns, int pairs)
    {
        Assert.SkipUnless(CpuFeatures.Avx512BFloat16, "This processor has no vdpbf16ps.");
        Random random = new(5);
        BFloat16[] a = Values(random, rows * pairs * 2);
        BFloat16[] b = Values(random, pairs * columns * 2);
        float[] factors = [.. Enumerable.Range(0, columns).Select(_ => random.NextSingle())];
        float[] before = [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle())];
        foreach (PairProductKernel.Start start in Enum.GetValues<PairProductKernel.Start>())
        {
            // Rows side by side, and pairs side by side: the two orders that attention has.
            foreach (bool pairsFirst in new[] { false, true })
            {
                PairProductKernel kernel = new(pairsFirst ? 4 : pairs * 4, pairsFirst ? rows * 4 : 4, columns, start);
                float[] c = [.. before];
                Run(kernel, pairsFirst ? Reordered(a, rows, pairs) : a, b, c, rows, pairs, factors);
                for (int i = 0; i < c.Length; i++)
                {
                    double expected = start switch
                    {
                        PairProductKernel.Start.Zero => 0,
                        PairProductKernel.Start.Sum => before[i],
                        _ => before[i] * (double)factors[i % columns],
                    };
                    for (int k = 0; k < 2 * pairs; k++)
                    {
                        expected += (float)a[(i / columns * pairs * 2) + k] * (double)(float)b[(((k / 2 * columns) + (i % columns)) * 2) + (k % 2)];
                    }

                    // Products of bfloat16 are exact in float32; only the sums round.
                    Assert.Equal(expected, c[i], 1e-5 * Math.Sqrt(pairs));
                }
            }
        }
    }

    [Fact]
    public void SquareTransposition_GivenStrides_ShouldSwapRowsAndColumns()
    {
        Assert.SkipUnless(CpuFeatures.Avx512, "This processor has no vectors of 512 bits.");
        float* source = stackalloc float[16 * 21];
        float* target = stackalloc float[16 * 18];
        for (int i = 0; i < 16 * 21; i++)
        {
            source[i] = i;
        }

        SquareTransposition.Run(source, 21, target, 18);

        for (int i = 0; i < 256; i++)
        {
            Assert.Equal(source[(i / 16 * 21) + (i % 16)], target[(i % 16 * 18) + (i / 16)]);
        }
    }

    private static void Run(PairProductKernel kernel, BFloat16[] a, BFloat16[] b, float[] c, int rows, int pairs, float[] factors)
    {
        fixed (BFloat16* pa = a)
        fixed (BFloat16* pb = b)
        fixed (float* pc = c)
        fixed (float* pf = factors)
        {
            kernel.Run((ushort*)pa, (uint*)pb, pc, rows, pairs, pf);
        }
    }

    private static BFloat16[] Reordered(BFloat16[] a, int rows, int pairs) =>
        [.. Enumerable.Range(0, a.Length).Select(i => a[(i / 2 % rows * pairs * 2) + (i / 2 / rows * 2) + (i % 2)])];

    private static BFloat16[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (BFloat16)((random.NextSingle() * 2) - 1))];
}
