using FsCheck;
using FsCheck.Fluent;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>What must hold for any weights, Hessian and options.</summary>
public sealed class GptqPropertyTests
{
    private static readonly int[] BitWidths = [2, 3, 4, 8];

    [Fact]
    public void Gptq_GivenAnyProblem_ShouldStayOnItsGridAndReportItsLoss() => Check(150, problem =>
    {
        QuantizationResult result = problem.Quantize();

        Assert.All(result.Codes, code => Assert.InRange(code, 0, problem.Options.Levels));
        Assert.All(result.Zeros, zero => Assert.InRange(zero, 0, problem.Options.Levels));
        Assert.All(result.Scales, scale => Assert.True(scale > 0 && float.IsFinite(scale)));
        Assert.All(result.Scales, scale => Assert.True(!problem.Options.Float16Scales || scale == (float)(Half)scale));
        double slow = problem.Loss(result.Dequantize());

        // Scales are stored as float32: 1e-7 of a weight of 0.1, squared, where the weights themselves lie on the grid.
        Assert.Equal(slow, result.ProxyLoss, (1e-5 * (slow + result.RoundToNearestLoss)) + 1e-14);
    });

    [Fact]
    public void Gptq_GivenAnyProblem_ShouldNotDependOnTheBlockSize() => Check(100, problem =>
    {
        // With asymmetric grids, whose ends lie on no tie; the variant "block start" depends on the block by its definition.
        GptqOptions options = problem.Options with { Symmetric = false, GridVariant = GridVariant.Current };
        byte[] one = (problem with { Options = options with { BlockSize = 1 } }).Quantize().Codes;
        byte[] seven = (problem with { Options = options with { BlockSize = 7 } }).Quantize().Codes;
        byte[] whole = (problem with { Options = options with { BlockSize = 1000 } }).Quantize().Codes;

        Assert.Equal(one, seven);
        Assert.Equal(one, whole);
    });

    [Fact]
    public void Gptq_GivenManyProblems_ShouldLoseLessThanRoundingToNearest()
    {
        // Greedy rounding is no guarantee for a single matrix, so count.
        int better = 0;
        int total = 0;
        Check(200, problem =>
        {
            QuantizationResult result = problem.Quantize();
            total++;
            better += result.ProxyLoss <= result.RoundToNearestLoss ? 1 : 0;
        });

        Assert.InRange((double)better / total, 0.9, 1);
    }

    [Fact]
    public void Gptq_GivenADiagonalHessianAndStaticGroups_ShouldBeRoundingToNearest() => Check(50, problem =>
    {
        int columns = problem.Columns;
        double[] diagonal = new double[columns * columns];
        for (int i = 0; i < columns; i++)
        {
            diagonal[(i * columns) + i] = 1 + (i % 5);
        }

        GptqOptions options = problem.Options with { StaticGroups = true };
        QuantizationResult result = (problem with { Hessian = diagonal, Options = options }).Quantize();

        Assert.Equal(RoundToNearestQuantizer.Quantize(problem.Weights, problem.Rows, options, "layer").Codes, result.Codes);
    });

    [Theory]
    [InlineData(CpuTier.Scalar)]
    [InlineData(CpuTier.Vector128)]
    [InlineData(CpuTier.Avx2)]
    [InlineData(CpuTier.Avx512)]
    public void Gptq_GivenAnyNumberOfThreadsAndAnyVectors_ShouldHaveTheSameBits(CpuTier tier)
    {
        if (tier > CpuBackend.SupportedTier)
        {
            Assert.Skip($"This processor has {CpuBackend.SupportedTier} at most.");
        }

        const int Columns = 200;
        const int Rows = 300;
        var problem = new Problem(Rows, Columns, Seed: 4, new GptqOptions { GroupSize = 32, ActOrder = true });
        QuantizationResult expected = problem.Quantize(); // on the caller's thread, with the widest vectors
        using CpuBackend backend = new(threads: 3, tier);

        QuantizationResult actual = GptqQuantizer.Quantize(problem.Weights, Rows, problem.Hessian, problem.Options, "layer", backend);

        Assert.Equal(expected.Codes, actual.Codes);
        Assert.Equal(expected.Scales, actual.Scales);
        Assert.Equal(expected.ProxyLoss, actual.ProxyLoss);

        // A figure of the report alone: a float32 product, whose sums have the order of their tier; the same bits with one thread.
        using CpuBackend single = new(threads: 1, tier);
        QuantizationResult alone = GptqQuantizer.Quantize(problem.Weights, Rows, problem.Hessian, problem.Options, "layer", single);
        Assert.Equal(alone.RoundToNearestLoss, actual.RoundToNearestLoss);
        Assert.Equal(expected.RoundToNearestLoss, actual.RoundToNearestLoss, 1e-6 * expected.RoundToNearestLoss);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(1e30f)]
    public void Quantizers_GivenWeightsThatAreNoWeights_ShouldNameTheLayer(float value)
    {
        UserErrorException error = Assert.Throws<UserErrorException>(
            () => RoundToNearestQuantizer.Quantize([0, 1, value, 2], 2, new GptqOptions(), "model.layers.1.self_attn.q_proj"));
        Assert.Contains("model.layers.1.self_attn.q_proj", error.Message, StringComparison.Ordinal);
        Assert.Throws<UserErrorException>(() => GptqQuantizer.Quantize([0, 1, value, 2], 2, [1, 0, 0, 1], new GptqOptions(), "layer"));
    }

    [Fact]
    public void Options_GivenValuesOutOfRange_ShouldBeRefused()
    {
        GptqOptions good = new();
        good.Validate();
        foreach (GptqOptions bad in new[]
        {
            good with { Bits = 5 }, good with { GroupSize = 0 }, good with { GroupSize = -2 }, good with { Damping = double.NaN },
            good with { Damping = -0.1 }, good with { Damping = 2 }, good with { BlockSize = 0 },
        })
        {
            Assert.Throws<UserErrorException>(bad.Validate);
        }
    }

    private static void Check(int count, Action<Problem> property)
    {
        Gen<Problem> problems =
            from rows in Gen.Choose(1, 9)
            from columns in Gen.Choose(1, 70)
            from seed in Gen.Choose(0, 1_000_000)
            from bits in Gen.Elements(BitWidths)
            from groupSize in Gen.Elements(-1, 1, 5, 8, 16, 100)
            from flags in Gen.Choose(0, 31)
            from blockSize in Gen.Elements(1, 4, 13, 128)
            select new Problem(rows, columns, seed, new GptqOptions
            {
                Bits = bits,
                GroupSize = groupSize,
                Symmetric = (flags & 1) != 0,
                ActOrder = (flags & 2) != 0,
                StaticGroups = (flags & 4) != 0,
                GridVariant = (flags & 8) != 0 ? GridVariant.BlockStart : GridVariant.Current,
                Float16Scales = (flags & 16) != 0,
                BlockSize = blockSize,
            });
        Prop.ForAll(problems.ToArbitrary(), property).Check(Config.QuickThrowOnFailure.WithMaxTest(count).WithReplay(1, 1));
    }

    private sealed record Problem(int Rows, int Columns, int Seed, GptqOptions Options)
    {
        public float[] Weights { get; } = RandomWeights(Rows * Columns, Seed);

        public double[] Hessian { get; init; } = CorrelatedHessian(Columns, Seed);

        public QuantizationResult Quantize() => GptqQuantizer.Quantize(Weights, Rows, Hessian, Options, "layer");

        public double Loss(float[] quantized)
        {
            double loss = 0;
            for (int row = 0; row < Rows; row++)
            {
                for (int i = 0; i < Columns; i++)
                {
                    for (int j = 0; j < Columns; j++)
                    {
                        loss += Error(row, i) * Hessian[(i * Columns) + j] * Error(row, j);
                    }
                }
            }

            return loss;

            double Error(int row, int column) => (double)Weights[(row * Columns) + column] - quantized[(row * Columns) + column];
        }

        private static float[] RandomWeights(int count, int seed)
        {
            var random = new Random(seed);
            return [.. Enumerable.Range(0, count).Select(_ => 0.1f * (random.NextSingle() + random.NextSingle() - 1))];
        }

        /// <summary>The Hessian of inputs whose neighbours resemble each other, as those of a trained layer do.</summary>
        private static double[] CorrelatedHessian(int columns, int seed)
        {
            var random = new Random(seed + 1);
            int rows = 4 * columns;
            float[] inputs = new float[rows * columns];
            for (int i = 0; i < inputs.Length; i++)
            {
                float before = i % columns == 0 ? 0 : inputs[i - 1];
                inputs[i] = (0.8f * before) + random.NextSingle() - 0.5f;
            }

            var accumulator = new HessianAccumulator(columns, "layer");
            accumulator.Add(inputs, rows);
            return accumulator.Complete();
        }
    }
}
