using MathNet.Numerics.LinearAlgebra.Double;
using MathNet.Numerics.Providers.LinearAlgebra;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class HessianFactorTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(130)]
    [InlineData(300)]
    public void Factor_GivenAPositiveDefiniteHessian_ShouldBeTheUpperCholeskyOfItsInverse(int columns)
    {
        double[] hessian = PositiveDefinite(columns, seed: columns);

        HessianFactor factor = HessianFactor.Create(hessian, columns, new GptqOptions { Damping = 0 }, "layer");

        var upper = new DenseMatrix(columns, columns, factor.Upper).Transpose(); // row-major to column-major
        var product = new DenseMatrix(columns, columns, hessian) * (upper.TransposeThisAndMultiply(upper) as DenseMatrix);
        for (int i = 0; i < columns; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                Assert.Equal(i == j ? 1 : 0, product[i, j], 1e-9);
                Assert.True(i <= j || upper[i, j] == 0);
            }
        }
    }

    [Fact]
    public void Factor_GivenEqualDiagonals_ShouldKeepTheirOrder()
    {
        double[] hessian = [2, 0, 0, 0, /**/ 0, 3, 0, 0, /**/ 0, 0, 2, 0, /**/ 0, 0, 0, 3];

        HessianFactor factor = HessianFactor.Create(hessian, 4, new GptqOptions { ActOrder = true }, "layer");

        Assert.Equal<IEnumerable<int>>([1, 3, 0, 2], factor.Order);
    }

    [Fact]
    public void Factor_GivenAnIndefiniteHessian_ShouldRaiseTheDampingAndSaySo()
    {
        double[] hessian = [1, 1.05, /**/ 1.05, 1];

        HessianFactor factor = HessianFactor.Create(hessian, 2, new GptqOptions(), "model.layers.0.mlp.up_proj");

        Assert.True(factor.IsPositiveDefinite);
        Assert.Equal(0.1, factor.Damping, 1e-12);
        Assert.Contains("model.layers.0.mlp.up_proj", factor.Warning, StringComparison.Ordinal);
        Assert.Contains("0.1", factor.Warning, StringComparison.Ordinal);
    }

    [Fact]
    public void Gptq_GivenARankDeficientHessianWithoutDamping_ShouldRaiseItAndSaySo()
    {
        double[] hessian = [1, 1, 0, /**/ 1, 1, 0, /**/ 0, 0, 1];

        QuantizationResult result = GptqQuantizer.Quantize([0.1f, 0.2f, 0.3f], 1, hessian, new GptqOptions { Damping = 0 }, "layer");

        Assert.True(result.Damping > 0);
        Assert.NotNull(result.Warning);
    }

    [Fact]
    public void Gptq_GivenAHessianThatNoDampingMends_ShouldRoundToNearestAndSaySo()
    {
        double[] hessian = [1, 0, /**/ 0, -1]; // mean diagonal 0
        float[] weights = [0.3f, -0.7f, 0.11f, 0.12f];

        QuantizationResult result = GptqQuantizer.Quantize(weights, 2, hessian, new GptqOptions(), "layer");

        Assert.Equal(RoundToNearestQuantizer.Quantize(weights, 2, new GptqOptions(), "layer").Codes, result.Codes);
        Assert.Contains("rounded to nearest", result.Warning, StringComparison.Ordinal);
        Assert.Equal(result.RoundToNearestLoss, result.ProxyLoss);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Factor_GivenAHessianThatIsNotFinite_ShouldBeRefused(double value) =>
        Assert.Throws<UserErrorException>(() => HessianFactor.Create([1, value, value, 1], 2, new GptqOptions(), "layer"));

    [Theory]
    [InlineData(1)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(129)]
    [InlineData(333)]
    public void Provider_GivenAPositiveDefiniteMatrix_ShouldFactorItLikeMathNet(int order)
    {
        double[] ours = PositiveDefinite(order, seed: 3);
        double[] theirs = [.. ours];
        using CpuBackend backend = new(threads: 3);

        SimdLinearAlgebraProvider.On(backend).CholeskyFactor(ours, order);
        ManagedLinearAlgebraProvider.Instance.CholeskyFactor(theirs, order);

        for (int i = 0; i < ours.Length; i++)
        {
            Assert.Equal(theirs[i], ours[i], 1e-12);
        }
    }

    [Fact]
    public void Provider_GivenOtherWork_ShouldHandItToMathNet()
    {
        Assert.Throws<ArgumentException>(() => SimdLinearAlgebraProvider.Instance.CholeskyFactor([1.0, 2, 2, 1], 2));
        double[] sum = new double[2];
        SimdLinearAlgebraProvider.Instance.AddArrays([1.0, 2], [3.0, 4], sum);
        Assert.Equal([4.0, 6], sum);
        Assert.Throws<ArgumentNullException>(() => SimdLinearAlgebraProvider.Instance.AddArrays(null!, [3.0, 4], sum));
    }

    /// <summary>XᵀX/n + I/2 of random X, a condition number of about ten.</summary>
    internal static double[] PositiveDefinite(int order, int seed)
    {
        var random = new Random(seed);
        var x = DenseMatrix.Create(2 * order, order, (_, _) => random.NextDouble() - 0.5);
        var matrix = (DenseMatrix)(x.TransposeThisAndMultiply(x) / order);
        for (int i = 0; i < order; i++)
        {
            matrix[i, i] += 0.5;
        }

        return matrix.Values;
    }
}
