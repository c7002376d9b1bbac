using System.Runtime.Intrinsics;

namespace PureQLora.Core.Tests;

public sealed unsafe class ExponentialTests
{
    [Fact]
    public void Exponential_GivenItsWholeRange_ShouldStayBelowTwoUlp()
    {
        double worst = 0;
        float* result = stackalloc float[8];
        for (double x = Exponential<Lanes256, Vector256<float>>.Underflow; x < 88; x += 0.0001)
        {
            Exponential<Lanes256, Vector256<float>>.Of(Vector256.Create((float)x)).Store(result);
            double expected = Math.Exp((float)x);
            float rounded = (float)expected;
            worst = Math.Max(worst, Math.Abs(result[3] - expected) / (MathF.BitIncrement(rounded) - rounded));
        }

        Assert.InRange(worst, 0.5, 1.5);
    }

    [Theory]
    [InlineData(float.NegativeInfinity, 0f)]
    [InlineData(-1e30f, 0f)]
    [InlineData(-87.4f, 0f)]
    [InlineData(0f, 1f)]
    [InlineData(float.NaN, float.NaN)]
    public void Exponential_GivenSpecialValues_ShouldBeExact(float x, float expected)
    {
        Assert.Equal(expected, Exponential<LanesScalar, float>.Of(x));
        Assert.Equal(expected, Exponential<Lanes128, Vector128<float>>.Of(Vector128.Create(x))[1]);
        Assert.Equal(expected, Exponential<Lanes256, Vector256<float>>.Of(Vector256.Create(x))[1]);
        Assert.Equal(expected, Exponential<Lanes512, Vector512<float>>.Of(Vector512.Create(x))[1]);
    }
}
