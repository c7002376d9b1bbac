namespace PureQLora.Core.Tests;

public abstract class SoftmaxTests : OpTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Softmax_GivenEveryWidthTo130_ShouldMatchFloat64(bool logarithm)
    {
        for (int width = 0; width <= 130; width++)
        {
            using ComputeScope scope = Record();
            Tensor x = Parameter(new(2, width), 8);
            foreach (ref float value in x.Floats)
            {
                value *= 4f;
            }

            Tensor y = Forward(scope, x, logarithm);
            BackwardFromWeightedSum(scope, y);

            GradientCheck.Close(Expected(Reference.ToDouble(x), width, logarithm), y);
            GradientCheck.Close(Gradient(Reference.ToDouble(x), width, logarithm), x.Grad!);
        }
    }

    [Theory]
    [InlineData(3, 7, false)]
    [InlineData(3, 7, true)]
    [InlineData(2, 19, false)]
    [InlineData(2, 19, true)]
    public void Softmax_GivenRows_ShouldPassTheGradientCheck(int rows, int width, bool logarithm)
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(rows, width), 9);
        BackwardFromWeightedSum(scope, Forward(scope, x, logarithm));
        GradientCheck.Matches(x, v => Reference.WeightedSum(Expected(v, width, logarithm)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Softmax_GivenHugeLogits_ShouldNotOverflow(bool logarithm)
    {
        using ComputeScope scope = Record();
        Tensor x = Tensor.From([3e38f, 3e38f, -3e38f, 1000f, 999f, -1000f], new Shape(2, 3)).AsParameter();
        Tensor y = Forward(scope, x, logarithm);
        BackwardFromWeightedSum(scope, y);
        float[] p = Array.ConvertAll(y.ToArray(), v => logarithm ? MathF.Exp(v) : v);
        Assert.Equal(0.5f, p[0], 1e-6f);
        Assert.Equal(0f, p[2]);
        Assert.Equal(1 / (1 + Math.Exp(-1)), p[3], 1e-6);
        Assert.All(x.Grad!.ToArray(), g => Assert.True(float.IsFinite(g)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Softmax_GivenMaskedElementsAndRows_ShouldIgnoreThem(bool logarithm)
    {
        using ComputeScope scope = Record();
        const float inf = float.PositiveInfinity;
        Tensor x = Tensor.From([-inf, 1f, 1f, -inf, -inf, -inf], new Shape(2, 3)).AsParameter();
        Tensor y = Forward(scope, x, logarithm);
        BackwardFromWeightedSum(scope, y);
        float[] expected = logarithm ? [-inf, -MathF.Log(2), -MathF.Log(2), -inf, -inf, -inf] : [0f, 0.5f, 0.5f, 0f, 0f, 0f];
        Assert.Equal(expected, y.ToArray());
        Assert.Equal([0f, 0f, 0f], x.Grad!.ToArray()[3..]);
        Assert.True(float.IsFinite(x.Grad.ToArray()[0]));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Softmax_GivenANumberThatIsNone_ShouldSpoilOnlyItsRow(float bad)
    {
        using ComputeScope scope = new(Backend);
        Tensor x = Tensor.From([0f, bad, 0f, 0f], new Shape(2, 2));
        foreach (bool logarithm in new[] { false, true })
        {
            float[] y = Forward(scope, x, logarithm).ToArray();
            Assert.True(float.IsNaN(y[1]));
            Assert.True(float.IsFinite(y[2]) && float.IsFinite(y[3]));
        }
    }

    private static Tensor Forward(ComputeScope scope, Tensor x, bool logarithm) => logarithm ? LogSoftmax.Forward(scope, x) : Softmax.Forward(scope, x);

    /// <summary>The Jacobian times the weights of the loss; the sweep over all widths would be cubic with differences.</summary>
    private static double[] Gradient(double[] x, int width, bool logarithm)
    {
        double[] p = Expected(x, width, logarithm: false);
        double[] gradient = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            int start = i / width * width;
            double sum = Enumerable.Range(start, width).Sum(j => Reference.Weight(j) * (logarithm ? 1 : p[j]));
            gradient[i] = logarithm ? Reference.Weight(i) - (p[i] * sum) : p[i] * (Reference.Weight(i) - sum);
        }

        return gradient;
    }

    private static double[] Expected(double[] x, int width, bool logarithm)
    {
        double[] y = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            double[] row = x[(i / width * width)..((i / width * width) + width)];
            double max = row.Max();
            double sum = row.Sum(v => Math.Exp(v - max));
            y[i] = logarithm ? x[i] - max - Math.Log(sum) : Math.Exp(x[i] - max) / sum;
        }

        return y;
    }
}

public abstract class CpuSoftmaxTests(CpuTier tier) : SoftmaxTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class CpuScalarSoftmaxTests() : CpuSoftmaxTests(CpuTier.Scalar);

public sealed class CpuVector128SoftmaxTests() : CpuSoftmaxTests(CpuTier.Vector128);

public sealed class CpuAvx2SoftmaxTests() : CpuSoftmaxTests(CpuTier.Avx2);

public sealed class CpuAvx512SoftmaxTests() : CpuSoftmaxTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16SoftmaxTests() : CpuSoftmaxTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxSoftmaxTests() : CpuSoftmaxTests(CpuTier.Amx);
