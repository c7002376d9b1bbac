namespace PureQLora.Core.Tests;

public abstract class RotaryEmbeddingTests : OpTests
{
    [Theory]
    [InlineData(1, 1, 1, 2)]
    [InlineData(2, 3, 2, 6)]
    [InlineData(1, 5, 3, 24)]      // half a vector and a tail
    [InlineData(2, 2, 1, 64)]
    public void RotaryEmbedding_GivenOddShapes_ShouldMatchFloat64(int batch, int sequence, int heads, int headDim)
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(batch, sequence, heads, headDim), 1);
        int[] positions = [.. Enumerable.Range(0, batch * sequence).Select(i => i * 13 % 40)];
        double[] frequencies = Frequencies(headDim);
        RotaryTable table = new(frequencies, 1.25, 40);

        Tensor y = RotaryEmbedding.Forward(scope, x, Tensor.From(positions, new Shape(batch, sequence)), table);
        BackwardFromWeightedSum(scope, y);

        GradientCheck.Close(Expected(Reference.ToDouble(x), positions, frequencies, 1.25, heads), y, 1e-6);
        GradientCheck.Matches(x, v => Reference.WeightedSum(Expected(v, positions, frequencies, 1.25, heads)), 1e-6);
    }

    [Fact]
    public void RotaryEmbedding_GivenShiftedPositions_ShouldKeepProducts()
    {
        using ComputeScope scope = new(Backend);
        RotaryTable table = new(Frequencies(16), 1, 200);
        Tensor x = Constant(new(1, 2, 1, 16), 3);
        float Product(int shift)
        {
            float[] y = RotaryEmbedding.Forward(scope, x, Tensor.From([5 + shift, 2 + shift], new Shape(1, 2)), table).ToArray();
            return y[..16].Zip(y[16..], (a, b) => a * b).Sum();
        }

        Assert.Equal(Product(0), Product(190), 1e-5f);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(8)]
    public void RotaryEmbedding_GivenAPositionBeyondTheTable_ShouldSayTheRange(int position)
    {
        using ComputeScope scope = new(Backend);
        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(() => RotaryEmbedding.Forward(
            scope, Constant(new(1, 2, 1, 4), 1), Tensor.From([0, position], new Shape(1, 2)), new RotaryTable([1, 0.1], 1, 8)));
        Assert.Contains("0–7", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RotaryEmbedding_GivenShapesThatDoNotFit_ShouldThrow()
    {
        using ComputeScope scope = new(Backend);
        RotaryTable table = new([1, 0.1], 1, 8);
        Assert.Throws<ArgumentException>(() => RotaryEmbedding.Forward(scope, Constant(new(1, 2, 1, 6), 1), Tensor.Create(new(1, 2), DataType.Int32), table));
        Assert.Throws<ArgumentException>(() => RotaryEmbedding.Forward(scope, Constant(new(1, 2, 1, 4), 1), Tensor.Create(new(1, 3), DataType.Int32), table));
    }

    private static double[] Frequencies(int headDim) => [.. Enumerable.Range(0, headDim / 2).Select(i => Math.Pow(10000, -2.0 * i / headDim))];

    private static double[] Expected(double[] x, int[] positions, double[] frequencies, double factor, int heads)
    {
        int half = frequencies.Length;
        double[] y = new double[x.Length];
        for (int vector = 0; vector < x.Length / (2 * half); vector++)
        {
            for (int i = 0; i < half; i++)
            {
                double angle = positions[vector / heads] * frequencies[i];
                int first = (vector * 2 * half) + i;
                y[first] = factor * ((x[first] * Math.Cos(angle)) - (x[first + half] * Math.Sin(angle)));
                y[first + half] = factor * ((x[first + half] * Math.Cos(angle)) + (x[first] * Math.Sin(angle)));
            }
        }

        return y;
    }
}

public abstract class CpuRotaryEmbeddingTests(CpuTier tier) : RotaryEmbeddingTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void RotaryEmbedding_AfterWarmUp_ShouldNotAllocate()
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        Tensor x = Parameter(new(1, 5, 3, 24), 1);
        Tensor positions = Tensor.Create(new(1, 5), DataType.Int32);
        RotaryTable table = new(new double[12], 1, 8);
        Assert.Equal(0, AllocatedBy(() =>
        {
            scope.Reset();
            Tensor y = RotaryEmbedding.Forward(scope, x, positions, table);
            _backend.RotaryEmbeddingBackward(y, positions, table, new GradientTarget(x.Grad, true));
        }));
    }
}

public sealed class CpuScalarRotaryEmbeddingTests() : CpuRotaryEmbeddingTests(CpuTier.Scalar);

public sealed class CpuVector128RotaryEmbeddingTests() : CpuRotaryEmbeddingTests(CpuTier.Vector128);

public sealed class CpuAvx2RotaryEmbeddingTests() : CpuRotaryEmbeddingTests(CpuTier.Avx2);

public sealed class CpuAvx512RotaryEmbeddingTests() : CpuRotaryEmbeddingTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16RotaryEmbeddingTests() : CpuRotaryEmbeddingTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxRotaryEmbeddingTests() : CpuRotaryEmbeddingTests(CpuTier.Amx);
