namespace PureQLora.Core.Tests;

public abstract class CrossEntropyTests : OpTests
{
    [Theory]
    [InlineData(1, 3, 2)]
    [InlineData(6, 5, 11)]
    [InlineData(9, 33, 70)]
    [InlineData(0, 4, 5)]
    public void CrossEntropy_GivenOddShapes_ShouldMatchFloat64(int tokens, int width, int vocabulary)
    {
        using ComputeScope scope = Record();
        Tensor hidden = Parameter(new(tokens, width), 1);
        Tensor head = Parameter(new(vocabulary, width), 2);
        int[] labels = Labels(tokens, vocabulary);

        Tensor loss = CrossEntropy.Forward(scope, hidden, new WeightMatrix(head), Tensor.From(labels, new(tokens)), 4f);
        scope.Backward(loss);

        (double[] h, double[] w) = (Reference.ToDouble(hidden), Reference.ToDouble(head));
        GradientCheck.Close([Expected(h, w, labels, width).Sum() / 4], loss);
        GradientCheck.Matches(hidden, v => Expected(v, w, labels, width).Sum() / 4);
        GradientCheck.Matches(head, v => Expected(h, v, labels, width).Sum() / 4);
    }

    [Fact]
    public void CrossEntropy_GivenAQuantizedHead_ShouldMatchItsDequantizedSelf()
    {
        using QuantizedMatrix quantized = MatrixReference.Quantized(50, 64, 4, 32, false, 3);
        Tensor dense = Tensor.From(quantized.Dequantize(), new(50, 64));
        int[] labels = Labels(12, 50);
        float[][] gradients = new float[2][];
        float[] losses = new float[2];
        for (int i = 0; i < 2; i++)
        {
            using ComputeScope scope = Record();
            Tensor hidden = Parameter(new(12, 64), 4);
            Tensor loss = CrossEntropy.Forward(scope, hidden, i == 0 ? new WeightMatrix(quantized) : new WeightMatrix(dense), Tensor.From(labels, new(12)), 7f);
            scope.Backward(loss);
            (losses[i], gradients[i]) = (loss.Floats[0], hidden.Grad!.ToArray());
        }

        Assert.Equal(losses[1], losses[0], 1e-6f);
        Assert.All(gradients[0].Zip(gradients[1]), pair => Assert.Equal(pair.Second, pair.First, 1e-6f));
    }

    [Fact]
    public void CrossEntropy_GivenSeveralChunks_ShouldEqualTheSumOfTokenLosses()
    {
        const int tokens = 220, width = 5, vocabulary = 60_000;     // 147 of them supervised: two chunks of logits
        Assert.SkipWhen(IsTooLong((long)tokens * width * vocabulary), "Too long for this backend.");
        using ComputeScope scope = Record();
        Tensor hidden = Parameter(new(tokens, width), 1);
        Tensor head = Constant(new(vocabulary, width), 2);
        int[] labels = Labels(tokens, vocabulary);
        Tensor target = Tensor.From(labels, new(tokens));

        Tensor each = CrossEntropy.TokenLosses(scope, hidden, new WeightMatrix(head), target);
        Tensor loss = CrossEntropy.Forward(scope, hidden, new WeightMatrix(head), target, 1f);
        scope.Backward(loss);

        double[] expected = Expected(Reference.ToDouble(hidden), Reference.ToDouble(head), labels, width);
        GradientCheck.Close(expected, each);
        Assert.Equal(expected.Sum(), loss.Floats[0], expected.Sum() * 1e-6);
        Assert.False(each.RequiresGrad);
        double[] whole = hidden.Grad!.ToArray().Select(v => (double)v).ToArray();
        for (int t = 0; t < tokens; t += 17)
        {
            // Each token's gradient is that of its own loss alone.
            using ComputeScope single = Record();
            Tensor row = Tensor.From(hidden.Floats.Slice(t * width, width), new(1, width)).AsParameter();
            single.Backward(CrossEntropy.Forward(single, row, new WeightMatrix(head), Tensor.From([labels[t]], new(1)), 1f));
            GradientCheck.Close(whole[(t * width)..((t + 1) * width)], row.Grad!);
        }
    }

    [Theory]
    [InlineData(1f)]
    [InlineData(-2.5f)]
    public void CrossEntropy_GivenAFrozenHead_ShouldEqualThatOfATrainedOne(float factor)
    {
        // A frozen head's gradient is computed with the loss, a trained one's in backward; then the loss is scaled.
        float[][] gradients = new float[2][];
        float[] losses = new float[2];
        for (int i = 0; i < 2; i++)
        {
            using ComputeScope scope = Record();
            Tensor hidden = Parameter(new(9, 33), 1);
            Tensor head = i == 0 ? Constant(new(70, 33), 2) : Parameter(new(70, 33), 2);
            Tensor loss = CrossEntropy.Forward(
                scope, Binary.Scale(scope, hidden, 1f), new WeightMatrix(head), Tensor.From(Labels(9, 70), new(9)), 4f);
            scope.Backward(Binary.Scale(scope, loss, factor));
            (losses[i], gradients[i]) = (loss.Floats[0], hidden.Grad!.ToArray());
        }

        Assert.Equal(losses[1], losses[0], 1e-6f);
        Assert.Contains(gradients[1], g => Math.Abs(g) > 0.01f);
        Assert.All(gradients[0].Zip(gradients[1]), pair => Assert.Equal(pair.Second, pair.First, 1e-6f));
    }

    [Fact]
    public void CrossEntropy_GivenOnlyIgnoredLabels_ShouldBeZeroWithZeroGradient()
    {
        using ComputeScope scope = Record();
        Tensor hidden = Parameter(new(3, 4), 1);
        Tensor loss = CrossEntropy.Forward(scope, hidden, new WeightMatrix(Constant(new(5, 4), 2)), Tensor.From([-100, -100, -100], new(3)), 1f);
        scope.Backward(loss);
        Assert.Equal(0f, loss.Floats[0]);
        Assert.All(hidden.Grad!.ToArray(), g => Assert.Equal(0f, g));
    }

    [Fact]
    public void CrossEntropy_GivenHugeLogits_ShouldStayFinite()
    {
        using ComputeScope scope = Record();
        Tensor hidden = Tensor.From([1e4f, -1e4f], new(2, 1)).AsParameter();
        Tensor loss = CrossEntropy.Forward(scope, hidden, new WeightMatrix(Tensor.From([1f, -1f, 0f], new(3, 1))), Tensor.From([0, 0], new(2)), 1f);
        scope.Backward(loss);
        Assert.Equal(2e4f, loss.Floats[0]);
        Assert.All(hidden.Grad!.ToArray(), g => Assert.True(float.IsFinite(g)));
    }

    [Theory]
    [InlineData(5)]
    [InlineData(-1)]
    public void CrossEntropy_GivenALabelOutsideTheVocabulary_ShouldThrow(int label)
    {
        using ComputeScope scope = Record();
        WeightMatrix head = new(Constant(new(5, 4), 2));
        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(
            () => CrossEntropy.Forward(scope, Constant(new(2, 4), 1), head, Tensor.From([0, label], new(2)), 1f));
        Assert.Contains("token 1", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => CrossEntropy.Forward(scope, Constant(new(1, 4), 1), head, Tensor.From([0], new(1)), 0f));
        Assert.Throws<ArgumentException>(() => CrossEntropy.Forward(scope, Constant(new(2, 4), 1), head, Tensor.From([0], new(1)), 1f));
    }

    private static int[] Labels(int tokens, int vocabulary)
    {
        Random random = new(9);
        return Enumerable.Range(0, tokens).Select(t => t % 3 == 1 ? CrossEntropy.Ignored : random.Next(vocabulary)).ToArray();
    }

    private static double[] Expected(double[] hidden, double[] head, int[] labels, int width)
    {
        double[] losses = new double[labels.Length];
        double[] logits = new double[head.Length / width];
        for (int t = 0; t < labels.Length; t++)
        {
            if (labels[t] == CrossEntropy.Ignored)
            {
                continue;
            }

            for (int v = 0; v < logits.Length; v++)
            {
                logits[v] = 0;
                for (int i = 0; i < width; i++)
                {
                    logits[v] += hidden[(t * width) + i] * head[(v * width) + i];
                }
            }

            double max = logits.Max();
            losses[t] = max + Math.Log(logits.Sum(l => Math.Exp(l - max))) - logits[labels[t]];
        }

        return losses;
    }
}

public abstract class CpuCrossEntropyTests(CpuTier tier) : CrossEntropyTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class CpuScalarCrossEntropyTests() : CpuCrossEntropyTests(CpuTier.Scalar);

public sealed class CpuVector128CrossEntropyTests() : CpuCrossEntropyTests(CpuTier.Vector128);

public sealed class CpuAvx2CrossEntropyTests() : CpuCrossEntropyTests(CpuTier.Avx2);

public sealed class CpuAvx512CrossEntropyTests() : CpuCrossEntropyTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16CrossEntropyTests() : CpuCrossEntropyTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxCrossEntropyTests() : CpuCrossEntropyTests(CpuTier.Amx);
