namespace PureQLora.Core.Tests;

public abstract class KullbackLeiblerTests : OpTests
{
    [Theory]
    [InlineData(1, 3, 4, 2)]
    [InlineData(6, 5, 5, 11)]
    [InlineData(9, 33, 20, 70)]
    [InlineData(0, 4, 4, 5)]
    public void KullbackLeibler_GivenOddShapes_ShouldMatchFloat64(int tokens, int width, int teacherWidth, int vocabulary)
    {
        using ComputeScope scope = Record();
        Tensor hidden = Parameter(new(tokens, width), 1);
        (Tensor head, Tensor teacher, Tensor teacherHead) =
            (Constant(new(vocabulary, width), 2), Constant(new(tokens, teacherWidth), 3), Constant(new(vocabulary, teacherWidth), 4));

        Tensor loss = KullbackLeibler.Forward(scope, hidden, new WeightMatrix(head), teacher, new WeightMatrix(teacherHead), 4f);
        scope.Backward(Binary.Scale(scope, loss, -2.5f));

        double[] p = Logits(Reference.ToDouble(teacher), Reference.ToDouble(teacherHead), tokens, vocabulary, teacherWidth);
        double Expected(double[] h) => Divergence(p, Logits(h, Reference.ToDouble(head), tokens, vocabulary, width), vocabulary) / 4;
        GradientCheck.Close([Expected(Reference.ToDouble(hidden))], loss);
        GradientCheck.Matches(hidden, h => -2.5 * Expected(h));
    }

    [Fact]
    public void KullbackLeibler_GivenSeveralChunks_ShouldBeTheSumOfItsTokens()
    {
        const int tokens = 67, width = 3, vocabulary = 140_000;     // 64 tokens a chunk
        Assert.SkipWhen(IsTooLong((long)tokens * width * vocabulary), "Too long for this backend.");
        using ComputeScope scope = Record();
        Tensor hidden = Parameter(new(tokens, width), 1);
        (WeightMatrix head, Tensor teacher) = (new(Constant(new(vocabulary, width), 2)), Constant(new(tokens, width), 3));

        Tensor loss = KullbackLeibler.Forward(scope, hidden, head, teacher, head, 1f);
        scope.Backward(loss);

        double sum = 0;
        for (int row = 0; row < tokens; row++)
        {
            using ComputeScope single = Record();
            Tensor one = Tensor.From(hidden.Floats.Slice(row * width, width), new(1, width)).AsParameter();
            Tensor own = KullbackLeibler.Forward(single, one, head, teacher.ViewRows(row, 1), head, 1f);
            single.Backward(own);
            sum += own.Floats[0];
            GradientCheck.Close(Reference.ToDouble(one.Grad!), Tensor.From(hidden.Grad!.Floats.Slice(row * width, width), new(1, width)));
        }

        Assert.Equal(sum, loss.Floats[0], sum * 1e-5);
    }

    [Fact]
    public void KullbackLeibler_GivenEqualPredictions_ShouldBeZero()
    {
        using ComputeScope scope = Record();
        Tensor hidden = Parameter(new(7, 16), 1);
        WeightMatrix head = new(Constant(new(300, 16), 2));
        Tensor loss = KullbackLeibler.Forward(scope, hidden, head, Constant(new(7, 16), 1), head, 1f);
        scope.Backward(loss);
        Assert.Equal(0f, loss.Floats[0]);
        Assert.All(hidden.Grad!.ToArray(), g => Assert.Equal(0f, g));
    }

    [Fact]
    public void KullbackLeibler_GivenHugeLogits_ShouldStayFinite()
    {
        using ComputeScope scope = Record();
        Tensor hidden = Tensor.From([1e4f], new(1, 1)).AsParameter();
        WeightMatrix head = new(Tensor.From([1f, -1f, 0f], new(3, 1)));
        Tensor loss = KullbackLeibler.Forward(scope, hidden, head, Tensor.From([-1e4f], new(1, 1)), head, 1f);
        scope.Backward(loss);
        Assert.Equal(2e4f, loss.Floats[0]);
        Assert.All(hidden.Grad!.ToArray(), g => Assert.True(float.IsFinite(g)));
    }

    [Fact]
    public void KullbackLeibler_GivenWhatDoesNotFit_ShouldSayIt()
    {
        using ComputeScope scope = Record();
        WeightMatrix head = new(Constant(new(5, 4), 2));
        Tensor hidden = Constant(new(2, 4), 1);
        Assert.Contains("[2, 3]", Assert.Throws<ArgumentException>(() => KullbackLeibler.Forward(scope, Constant(new(2, 3), 1), head, hidden, head, 1f)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => KullbackLeibler.Forward(scope, hidden, head, Constant(new(3, 4), 1), head, 1f));
        Assert.Throws<ArgumentException>(() => KullbackLeibler.Forward(scope, hidden, new WeightMatrix(Parameter(new(5, 4), 2)), hidden, head, 1f));
        Assert.Throws<ArgumentOutOfRangeException>(() => KullbackLeibler.Forward(scope, hidden, head, hidden, head, 0f));
    }

    private static double[] Logits(double[] hidden, double[] head, int tokens, int vocabulary, int width) =>
        MatrixReference.Product(hidden, false, head, true, tokens, vocabulary, width);

    private static double Divergence(double[] targets, double[] logits, int vocabulary)
    {
        double sum = 0;
        for (int start = 0; start < logits.Length; start += vocabulary)
        {
            double[] p = LogSoftmax(targets.AsSpan(start, vocabulary));
            double[] q = LogSoftmax(logits.AsSpan(start, vocabulary));
            sum += p.Zip(q, (a, b) => Math.Exp(a) * (a - b)).Sum();
        }

        return sum;
    }

    private static double[] LogSoftmax(ReadOnlySpan<double> row)
    {
        double[] values = row.ToArray();
        double max = values.Max();
        double log = max + Math.Log(values.Sum(value => Math.Exp(value - max)));
        return Array.ConvertAll(values, value => value - log);
    }
}

public abstract class CpuKullbackLeiblerTests(CpuTier tier) : KullbackLeiblerTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class CpuScalarKullbackLeiblerTests() : CpuKullbackLeiblerTests(CpuTier.Scalar);

public sealed class CpuVector128KullbackLeiblerTests() : CpuKullbackLeiblerTests(CpuTier.Vector128);

public sealed class CpuAvx2KullbackLeiblerTests() : CpuKullbackLeiblerTests(CpuTier.Avx2);

public sealed class CpuAvx512KullbackLeiblerTests() : CpuKullbackLeiblerTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16KullbackLeiblerTests() : CpuKullbackLeiblerTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxKullbackLeiblerTests() : CpuKullbackLeiblerTests(CpuTier.Amx);
