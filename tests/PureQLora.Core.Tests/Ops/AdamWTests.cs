namespace PureQLora.Core.Tests;

/// <summary>The AdamW kernel and the norm of gradients.</summary>
public abstract class AdamWTests : OpTests
{
    [Theory]
    [InlineData(0.0, 1f)]
    [InlineData(0.1, 1f)]
    [InlineData(0.01, 0.25f)]
    public void AdamW_GivenTenSteps_ShouldFollowFloat64(double decay, float gradientScale)
    {
        const double rate = 1e-2, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
        for (int length = 0; length <= 130; length += length < 20 ? 1 : 11)
        {
            Tensor parameter = Constant(new(length), 1);
            (Tensor m, Tensor v) = (Tensor.Create(new(length)), Tensor.Create(new(length)));
            double[] p = Reference.ToDouble(parameter);
            double[] first = new double[length];
            double[] second = new double[length];
            for (int step = 1; step <= 10; step++)
            {
                Tensor grad = Constant(new(length), 100 + step);
                Backend.AdamWStep(parameter, grad, m, v, rate, beta1, beta2, epsilon, decay, step, gradientScale);
                double[] g = Reference.ToDouble(grad);
                for (int i = 0; i < length; i++)
                {
                    g[i] *= gradientScale;
                    p[i] *= 1 - (rate * decay);
                    first[i] = (beta1 * first[i]) + ((1 - beta1) * g[i]);
                    second[i] = (beta2 * second[i]) + ((1 - beta2) * g[i] * g[i]);
                    double denominator = (Math.Sqrt(second[i]) / Math.Sqrt(1 - Math.Pow(beta2, step))) + epsilon;
                    p[i] -= rate / (1 - Math.Pow(beta1, step)) * first[i] / denominator;
                }
            }

            GradientCheck.Close(p, parameter, 1e-6);
            GradientCheck.Close(first, m, 1e-6);
            GradientCheck.Close(second, v, 1e-7);
        }
    }

    [Fact]
    public void AdamW_GivenTheFirstStep_ShouldMoveByTheRate()
    {
        Tensor parameter = Tensor.From([1f, 1f, 1f], new Shape(3));
        Tensor grad = Tensor.From([1e-3f, -1e4f, 0f], new Shape(3));
        Backend.AdamWStep(parameter, grad, Tensor.Create(new(3)), Tensor.Create(new(3)), 0.1, 0.9, 0.999, 1e-8, 0.0, 1, 1f);
        Assert.Equal(0.9f, parameter.Floats[0], 1e-5f);
        Assert.Equal(1.1f, parameter.Floats[1], 1e-5f);
        Assert.Equal(1f, parameter.Floats[2]);
    }

    [Fact]
    public void AdamW_GivenTensorsOfOtherSizesOrStepZero_ShouldRefuse()
    {
        (Tensor three, Tensor four) = (Tensor.Create(new(3)), Tensor.Create(new(4)));
        ArgumentException error = Assert.Throws<ArgumentException>(() => Backend.AdamWStep(three, four, three, three, 0.1, 0.9, 0.999, 1e-8, 0.0, 1, 1f));
        Assert.Contains("[3]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[4]", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => Backend.AdamWStep(three, three, three, three, 0.1, 0.9, 0.999, 1e-8, 0.0, 0, 1f));
    }

    [Fact]
    public void SumOfSquares_GivenAnyLength_ShouldMatchFloat64()
    {
        for (int length = 0; length <= 130; length++)
        {
            Tensor x = Constant(new(length), 2);
            Assert.Equal(Reference.ToDouble(x).Sum(v => v * v), Backend.SumOfSquares(x), 1e-12 * (1 + length));
        }

        Tensor large = Constant(new(3, 20_000), 3);
        Assert.Equal(Reference.ToDouble(large).Sum(v => v * v), Backend.SumOfSquares(large), 1e-8);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void SumOfSquares_GivenAnElementThatIsNotFinite_ShouldNotBeFinite(float bad)
    {
        foreach (int at in new[] { 0, 20_000, 49_999 })
        {
            Tensor x = Tensor.Create(new(50_000));
            x.Floats[at] = bad;
            Assert.False(double.IsFinite(Backend.SumOfSquares(x)));
        }

        Tensor huge = Tensor.From([float.MaxValue, float.MaxValue], new Shape(2));
        Assert.True(double.IsFinite(Backend.SumOfSquares(huge)));
    }
}

public abstract class CpuAdamWTests(CpuTier tier) : AdamWTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class CpuScalarAdamWTests() : CpuAdamWTests(CpuTier.Scalar);

public sealed class CpuVector128AdamWTests() : CpuAdamWTests(CpuTier.Vector128);

public sealed class CpuAvx2AdamWTests() : CpuAdamWTests(CpuTier.Avx2);

public sealed class CpuAvx512AdamWTests() : CpuAdamWTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16AdamWTests() : CpuAdamWTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxAdamWTests() : CpuAdamWTests(CpuTier.Amx);
