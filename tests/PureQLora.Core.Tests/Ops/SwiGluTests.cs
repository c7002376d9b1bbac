namespace PureQLora.Core.Tests;

public abstract class SwiGluTests : OpTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 7)]
    [InlineData(2, 67)]
    [InlineData(3, 64)]
    [InlineData(0, 4)]
    public void SwiGlu_GivenOddShapes_ShouldMatchFloat64(int rows, int width)
    {
        using ComputeScope scope = Record();
        (Tensor gate, Tensor up) = (Parameter(new(rows, width), 1), Parameter(new(rows, width), 2));
        foreach (ref float value in gate.Floats)
        {
            value *= 8f;
        }

        Tensor y = SwiGlu.Forward(scope, gate, up);
        BackwardFromWeightedSum(scope, y);

        (double[] gs, double[] us) = (Reference.ToDouble(gate), Reference.ToDouble(up));
        GradientCheck.Close(Expected(gs, us), y, 1e-6);
        GradientCheck.Matches(gate, v => Reference.WeightedSum(Expected(v, us)), 1e-6);
        GradientCheck.Matches(up, v => Reference.WeightedSum(Expected(gs, v)), 1e-6);
    }

    [Fact]
    public void SwiGlu_GivenExtremeGates_ShouldSaturate()
    {
        using ComputeScope scope = Record();
        Tensor gate = Tensor.From([1e4f, -1e4f, 100f, -100f, 3e38f, -3e38f, 0f], new Shape(7)).AsParameter();
        Tensor up = Tensor.From([1f, 1f, 1f, 1f, 1f, 1f, 1f], new Shape(7)).AsParameter();

        Tensor y = SwiGlu.Forward(scope, gate, up);
        BackwardFromWeightedSum(scope, y);

        Assert.Equal([1e4f, 0f, 100f, 0f, 3e38f, 0f, 0f], y.ToArray());
        Assert.All(gate.Grad!.ToArray(), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void SwiGlu_GivenNaN_ShouldShowIt()
    {
        using ComputeScope scope = new(Backend);
        Tensor y = SwiGlu.Forward(scope, Tensor.From([1f, float.NaN], new Shape(2)), Tensor.From([1f, 1f], new Shape(2)));
        Assert.Equal([false, true], y.ToArray().Select(float.IsNaN));
    }

    [Fact]
    public void SwiGlu_GivenOneParameter_ShouldComputeItsGradientAlone()
    {
        using ComputeScope scope = Record();
        (Tensor gate, Tensor up) = (Parameter(new(3, 5), 1), Constant(new(3, 5), 2));
        BackwardFromWeightedSum(scope, SwiGlu.Forward(scope, gate, up));
        Assert.Null(up.Grad);
        double[] us = Reference.ToDouble(up);
        GradientCheck.Matches(gate, v => Reference.WeightedSum(Expected(v, us)), 1e-6);
    }

    [Fact]
    public void SwiGlu_GivenOtherShapes_ShouldSayBoth()
    {
        using ComputeScope scope = new(Backend);
        ArgumentException error = Assert.Throws<ArgumentException>(() => SwiGlu.Forward(scope, Constant(new(2, 8), 1), Constant(new(2, 7), 2)));
        Assert.Contains("[2, 8]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[2, 7]", error.Message, StringComparison.Ordinal);
    }

    private static double[] Expected(double[] gate, double[] up) => [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)];
}

public abstract class CpuSwiGluTests(CpuTier tier) : SwiGluTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void SwiGlu_GivenOtherThreadCounts_ShouldGiveTheSameBits()
    {
        float[]? expected = null;
        foreach (int threads in new[] { 1, 2, 3, 7 })
        {
            using CpuBackend backend = CpuTiers.Open(tier, threads);
            using ComputeScope scope = new(backend, recordGradients: true);
            (Tensor gate, Tensor up) = (Parameter(new(3, 20001), 1), Parameter(new(3, 20001), 2));
            Tensor y = SwiGlu.Forward(scope, gate, up);
            BackwardFromWeightedSum(scope, y);
            float[] actual = [.. y.ToArray(), .. gate.Grad!.ToArray(), .. up.Grad!.ToArray()];
            Assert.Equal(expected ??= actual, actual);
        }
    }

    [Fact]
    public void SwiGlu_GivenWholeAndPartOfVectors_ShouldMatchFloat64()
    {
        using ComputeScope scope = new(_backend);
        (Tensor gate, Tensor up) = (Constant(new(1003), 1), Constant(new(1003), 2));
        double[] expected = [.. gate.ToArray().Zip(up.ToArray(), (g, u) => g / (1 + Math.Exp(-(double)g)) * u)];
        GradientCheck.Close(expected, SwiGlu.Forward(scope, gate, up), 1e-6);
    }

    [Fact]
    public void SwiGlu_AfterWarmUp_ShouldNotAllocate()
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        (Tensor gate, Tensor up) = (Parameter(new(3, 67), 1), Parameter(new(3, 67), 2));
        Assert.Equal(0, AllocatedBy(() =>
        {
            scope.Reset();
            Tensor y = SwiGlu.Forward(scope, gate, up);
            _backend.SwiGluBackward(y, gate, up, new GradientTarget(gate.Grad, true), new GradientTarget(up.Grad, true));
        }));
    }
}

public sealed class CpuScalarSwiGluTests() : CpuSwiGluTests(CpuTier.Scalar);

public sealed class CpuVector128SwiGluTests() : CpuSwiGluTests(CpuTier.Vector128);

public sealed class CpuAvx2SwiGluTests() : CpuSwiGluTests(CpuTier.Avx2);

public sealed class CpuAvx512SwiGluTests() : CpuSwiGluTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16SwiGluTests() : CpuSwiGluTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxSwiGluTests() : CpuSwiGluTests(CpuTier.Amx);
