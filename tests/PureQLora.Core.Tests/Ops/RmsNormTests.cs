namespace PureQLora.Core.Tests;

public abstract class RmsNormTests : OpTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 7)]      // shorter than a vector
    [InlineData(2, 67)]     // vectors and a tail
    [InlineData(131, 5)]    // more rows than one partial sum
    [InlineData(0, 4)]
    public void RmsNorm_GivenOddShapes_ShouldMatchFloat64(int rows, int width)
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(rows, width), 1);
        Tensor weight = Parameter(new(width), 2);

        Tensor y = RmsNorm.Forward(scope, x, weight, 1e-5f);
        BackwardFromWeightedSum(scope, y);

        (double[] xs, double[] ws) = (Reference.ToDouble(x), Reference.ToDouble(weight));
        GradientCheck.Close(Expected(xs, ws, rows, width), y);
        GradientCheck.Matches(x, v => Reference.WeightedSum(Expected(v, ws, rows, width)));
        GradientCheck.Matches(weight, v => Reference.WeightedSum(Expected(xs, v, rows, width)));
    }

    [Fact]
    public void RmsNorm_GivenARowOfZeros_ShouldStayFinite()
    {
        using ComputeScope scope = Record();
        Tensor x = Tensor.Create(new(2, 8)).AsParameter();

        Tensor y = RmsNorm.Forward(scope, x, Constant(new(8), 3), 1e-6f);
        BackwardFromWeightedSum(scope, y);

        Assert.All(y.ToArray(), value => Assert.Equal(0f, value));
        Assert.All(x.Grad!.ToArray(), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void RmsNorm_GivenAWeightOfAnotherWidth_ShouldSayBothShapes()
    {
        using ComputeScope scope = Record();
        ArgumentException error = Assert.Throws<ArgumentException>(() => RmsNorm.Forward(scope, Constant(new(2, 8), 1), Constant(new(7), 2), 1e-6f));
        Assert.Contains("[7]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[2, 8]", error.Message, StringComparison.Ordinal);
    }

    private static double[] Expected(double[] x, double[] w, int rows, int width)
    {
        double[] y = new double[x.Length];
        for (int t = 0; t < rows; t++)
        {
            double mean = x.Skip(t * width).Take(width).Sum(v => v * v) / width;
            for (int i = 0; i < width; i++)
            {
                y[(t * width) + i] = w[i] * x[(t * width) + i] / Math.Sqrt(mean + 1e-5);
            }
        }

        return y;
    }
}

public abstract class CpuRmsNormTests(CpuTier tier) : RmsNormTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class CpuScalarRmsNormTests() : CpuRmsNormTests(CpuTier.Scalar);

public sealed class CpuVector128RmsNormTests() : CpuRmsNormTests(CpuTier.Vector128);

public sealed class CpuAvx2RmsNormTests() : CpuRmsNormTests(CpuTier.Avx2);

public sealed class CpuAvx512RmsNormTests() : CpuRmsNormTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16RmsNormTests() : CpuRmsNormTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxRmsNormTests() : CpuRmsNormTests(CpuTier.Amx);
