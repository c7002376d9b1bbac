using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class HessianAccumulatorTests
{
    [Theory]
    [InlineData("special_rows")]
    [InlineData("dead")]
    [InlineData("rank_deficient")]
    public void Hessian_GivenGoldenInputs_ShouldEqualTheReference(string problem)
    {
        GoldenTensors golden = GptqCase.Read("problem_" + problem);
        double[] expected = golden.Doubles("H");
        int columns = (int)golden.Shape("X")[1];
        var accumulator = new HessianAccumulator(columns, "layer");

        accumulator.Add(golden.Floats("X"), (int)golden.Shape("X")[0]);
        double[] actual = accumulator.Complete();

        // Float32 sums over runs of 128 rows: the roundings of 2^-24 have random signs, so √128 of them, three times over.
        for (int i = 0; i < columns; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                double size = Math.Sqrt(expected[(i * columns) + i] * expected[(j * columns) + j]);
                Assert.Equal(expected[(i * columns) + j], actual[(i * columns) + j], 2e-6 * size);
            }
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 31)]
    [InlineData(130, 33)]
    [InlineData(1100, 70)]
    public void Hessian_GivenAnySizes_ShouldEqualTheSlowSum(int rows, int columns)
    {
        float[] inputs = Inputs(rows, columns);
        var accumulator = new HessianAccumulator(columns, "layer");

        accumulator.Add(inputs, rows);
        double[] actual = accumulator.Complete();

        for (int i = 0; i < columns; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                double sum = 0;
                for (int row = 0; row < rows; row++)
                {
                    sum += (double)inputs[(row * columns) + i] * inputs[(row * columns) + j];
                }

                Assert.Equal(2 * sum / rows, actual[(i * columns) + j], 1e-6);
            }
        }
    }

    [Fact]
    public void Hessian_GivenTheSameRowsInOtherPortions_ShouldHaveTheSameBits()
    {
        const int Rows = 1300;
        const int Columns = 40;
        float[] inputs = Inputs(Rows, Columns);
        var whole = new HessianAccumulator(Columns, "layer");
        whole.Add(inputs, Rows);
        var portions = new HessianAccumulator(Columns, "layer");
        for (int start = 0, length = 1; start < Rows; start += length, length = Math.Min(length * 3, Rows - start))
        {
            portions.Add(inputs.AsSpan(start * Columns, Math.Min(length, Rows - start) * Columns), Math.Min(length, Rows - start));
        }

        Assert.Equal(Rows, portions.RowCount);
        Assert.Equal(whole.Complete(), portions.Complete());
    }

    [Theory]
    [InlineData("X_nan", "NaN")]
    [InlineData("X_inf", "Infinity")]
    [InlineData("X_float32_overflow", "3E+19")]
    public void Hessian_GivenGoldenInputsToRefuse_ShouldNameTheLayerAndTheValue(string tensor, string value)
    {
        GoldenTensors golden = GptqCase.Read("refused");
        var accumulator = new HessianAccumulator(16, "model.layers.3.mlp.down_proj");

        UserErrorException error = Assert.Throws<UserErrorException>(() => accumulator.Add(golden.Floats(tensor), 32));

        Assert.Contains("model.layers.3.mlp.down_proj", error.Message, StringComparison.Ordinal);
        Assert.Contains(value, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Hessian_GivenNegativeInfinity_ShouldBeRefused() =>
        Assert.Throws<UserErrorException>(() => new HessianAccumulator(2, "layer").Add([1, float.NegativeInfinity], 1));

    [Fact]
    public void Hessian_GivenNoRows_ShouldBeRefused() =>
        Assert.Throws<UserErrorException>(() => new HessianAccumulator(4, "layer").Complete());

    [Fact]
    public void Hessian_GivenMoreColumnsThanAnArrayHolds_ShouldBeRefused() =>
        Assert.Throws<UserErrorException>(() => new HessianAccumulator(50_000, "layer"));

    private static float[] Inputs(int rows, int columns)
    {
        var random = new Random(11);
        return [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f)];
    }
}
