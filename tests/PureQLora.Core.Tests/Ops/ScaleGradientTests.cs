namespace PureQLora.Core.Tests;

public abstract class ScaleGradientTests : OpTests
{
    public static TheoryData<int, int, bool> Codings => new()
    {
        { 2, 32, false }, { 3, 32, false }, { 4, 64, false }, { 8, 32, false }, { 4, -1, false }, { 2, 24, false }, { 4, 20, false }, { 4, 32, true }, { 3, 64, true },
    };

    [Theory]
    [MemberData(nameof(Codings))]
    public void ScaleGradient_GivenAnyCoding_ShouldMatchFiniteDifferences(int bits, int groupSize, bool scattered)
    {
        foreach ((int tokens, int inDim, int outDim) in new[] { (1, 72, 5), (5, 100, 33), (0, 32, 8), (40, 136, 7) })
        {
            using QuantizedMatrix quantized = MatrixReference.Quantized(outDim, inDim, bits, groupSize, scattered, 3);
            WeightMatrix weight = new(quantized, trainScales: true);
            using ComputeScope scope = Record();
            Tensor x = Parameter(new(tokens, inDim), 1);

            Tensor y = QLoraLinear.Forward(scope, x, weight, Constant(new(outDim), 5));
            BackwardFromWeightedSum(scope, y);

            double[] input = Reference.ToDouble(x);
            GradientCheck.Matches(weight.Scales!, scales => Reference.WeightedSum(Product(input, quantized, scales, tokens)));
            double[] dense = Array.ConvertAll(quantized.Dequantize(), value => (double)value);
            GradientCheck.Close(MatrixReference.Product(MatrixReference.OutputGradient(tokens * outDim), false, dense, false, tokens, inDim, outDim), x.Grad!);
        }
    }

    [Fact]
    public void ScaleGradient_GivenMoreRowsThanAStrip_ShouldMatchTheProductOfTheWholeGradient()
    {
        // 9000 columns: a strip holds 64 rows, and the last is short.
        (int tokens, int inDim, int outDim) = (20, 9000, 150);
        Assert.SkipWhen(IsTooLong((long)tokens * inDim * outDim), "Too long for this backend.");
        using QuantizedMatrix quantized = MatrixReference.Quantized(outDim, inDim, 4, 128, false, 3);
        WeightMatrix weight = new(quantized, trainScales: true);
        (Tensor x, Tensor dy) = (Constant(new(tokens, inDim), 1), Constant(new(tokens, outDim), 2));

        Backend.ScaleGradient(dy, x, quantized, weight.Scales!.Grad!, Precision.Float32);
        Backend.ScaleGradient(dy, x, quantized, weight.Scales!.Grad!, Precision.Float32);

        double[] expected = Array.ConvertAll(Gradient(Reference.ToDouble(dy), Reference.ToDouble(x), quantized, tokens), value => 2 * value);
        GradientCheck.Close(expected, weight.Scales.Grad!, 1e-4);
    }

    [Theory]
    [InlineData(130, 320, 70)]
    [InlineData(33, 128, 13)]
    public void ScaleGradient_GivenBFloat16_ShouldRoundOnlyTheOperands(int tokens, int inDim, int outDim)
    {
        Assert.SkipWhen(IsTooLong((long)tokens * inDim * outDim), "Too long for this backend.");
        using QuantizedMatrix quantized = MatrixReference.Quantized(outDim, inDim, 3, 64, false, 3);
        WeightMatrix weight = new(quantized, trainScales: true);
        (Tensor x, Tensor dy) = (Constant(new(tokens, inDim), 1), Constant(new(tokens, outDim), 2));

        Backend.ScaleGradient(dy, x, quantized, weight.Scales!.Grad!, Precision.BFloat16);

        double[] expected = Gradient(MatrixReference.Rounded(Reference.ToDouble(dy)), MatrixReference.Rounded(Reference.ToDouble(x)), quantized, tokens);
        GradientCheck.Close(expected, weight.Scales.Grad!, 2e-5);
    }

    [Theory]
    [InlineData(3, 64)]
    [InlineData(12, 16)]
    [InlineData(70, 64)]
    public void QLoraLinear_GivenScalesThatChanged_ShouldMultiplyWithTheNewOnes(int tokens, int outDim)
    {
        Assert.SkipWhen(IsTooLong(tokens * outDim * 256L), "Too long for this backend.");
        using QuantizedMatrix quantized = MatrixReference.Quantized(outDim, 256, 4, 64, false, 3);
        WeightMatrix weight = new(quantized, trainScales: true);
        Tensor x = Constant(new(tokens, 256), 1);
        foreach (Precision precision in new[] { Precision.Float32, Precision.BFloat16 })
        {
            using ComputeScope scope = Record();
            scope.Precision = precision;
            float[] before = QLoraLinear.Forward(scope, x, weight).ToArray();
            Backend.Affine(weight.Scales!, 2f, 0f, weight.Scales!);

            Tensor after = QLoraLinear.Forward(scope, x, weight);

            Assert.Equal(Array.ConvertAll(before, value => 2 * value), after.ToArray());
            Assert.Equal(weight.Scales!.Floats[5], quantized.Scale(1, 1));
        }
    }

    [Fact]
    public void ScaleGradient_GivenAnotherStep_ShouldAllocateNothing()
    {
        using QuantizedMatrix quantized = MatrixReference.Quantized(96, 200, 4, 64, false, 3);
        WeightMatrix weight = new(quantized, trainScales: true);
        Tensor x = Parameter(new(33, 200), 1);
        using ComputeScope scope = Record();
        Assert.Equal(0, AllocatedBy(() =>
        {
            scope.Reset();
            scope.Backward(Reduction.Sum(scope, QLoraLinear.Forward(scope, x, weight)));
        }));
    }

    private static double[] Product(double[] x, QuantizedMatrix matrix, double[] scales, int tokens)
    {
        double[] w = new double[matrix.OutDim * matrix.InDim];
        for (int i = 0; i < w.Length; i++)
        {
            (int row, int column) = (i / matrix.InDim, i % matrix.InDim);
            int group = matrix.GroupOf(column);
            w[i] = scales[(row * matrix.Groups) + group] * (matrix.Code(row, column) - matrix.Zero(row, group));
        }

        return MatrixReference.Product(x, false, w, true, tokens, matrix.OutDim, matrix.InDim);
    }

    private static double[] Gradient(double[] dy, double[] x, QuantizedMatrix matrix, int tokens)
    {
        double[] dw = MatrixReference.Product(dy, true, x, false, matrix.OutDim, matrix.InDim, tokens);
        double[] gradient = new double[matrix.OutDim * matrix.Groups];
        for (int i = 0; i < dw.Length; i++)
        {
            (int row, int column) = (i / matrix.InDim, i % matrix.InDim);
            int group = matrix.GroupOf(column);
            gradient[(row * matrix.Groups) + group] += dw[i] * (matrix.Code(row, column) - matrix.Zero(row, group));
        }

        return gradient;
    }
}

public abstract class CpuScaleGradientTests(CpuTier tier) : ScaleGradientTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    [Fact]
    public void ScaleGradient_GivenAnotherNumberOfThreads_ShouldBeTheSameToTheBit()
    {
        using QuantizedMatrix quantized = MatrixReference.Quantized(300, 4096, 2, 32, false, 3);
        (Tensor x, Tensor dy) = (Constant(new(50, 4096), 1), Constant(new(50, 300), 2));
        float[][] gradients = [.. new[] { 1, 3 }.Select(threads =>
        {
            using CpuBackend backend = new(threads, _backend.Tier);
            Tensor gradient = Tensor.Create(new(300, quantized.Groups));
            backend.ScaleGradient(dy, x, quantized, gradient, backend.PreferredPrecision);
            return gradient.ToArray();
        })];
        Assert.Equal(gradients[0], gradients[1]);
    }

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class CpuScalarScaleGradientTests() : CpuScaleGradientTests(CpuTier.Scalar);

public sealed class CpuVector128ScaleGradientTests() : CpuScaleGradientTests(CpuTier.Vector128);

public sealed class CpuAvx2ScaleGradientTests() : CpuScaleGradientTests(CpuTier.Avx2);

public sealed class CpuAvx512ScaleGradientTests() : CpuScaleGradientTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16ScaleGradientTests() : CpuScaleGradientTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxScaleGradientTests() : CpuScaleGradientTests(CpuTier.Amx);
