namespace PureQLora.Core.Tests;

public abstract class QLoraLinearTests : OpTests
{
    /// <summary>Rows of x up to which the backend takes a quantised weight and x as they are in the forward product, whatever the precision.</summary>
    protected virtual int UnroundedRows => 0;

    public static TheoryData<string> Weights => ["Float32", "BFloat16", "Float16", "2,32", "3,32", "4,32", "8,32", "4,64", "4,128", "8,-1", "4,-1", "3,-1", "4,32,scattered", "8,64,scattered", "2,24", "4,20", "nf4,64", "nf4,32", "nf4,20", "nf4,-1"];

    [Theory]
    [MemberData(nameof(Weights))]
    public void QLoraLinear_GivenAnyWeight_ShouldMatchFloat64(string kind)
    {
        foreach ((int tokens, int inDim, int outDim) in new[] { (1, 72, 40), (5, 300, 33), (40, 136, 70), (0, 32, 8), (2, 1, 1) })
        {
            if (IsTooLong((long)tokens * inDim * outDim))
            {
                continue;
            }

            WeightMatrix weight = Weight(kind, outDim, inDim);
            double[] w = Values(weight);
            using ComputeScope scope = Record();
            Tensor x = Parameter(new(tokens, inDim), 1);

            Tensor y = QLoraLinear.Forward(scope, x, weight);
            BackwardFromWeightedSum(scope, y);

            double[] dy = MatrixReference.OutputGradient(tokens * outDim);
            GradientCheck.Close(MatrixReference.Product(Reference.ToDouble(x), false, w, true, tokens, outDim, inDim), y);
            GradientCheck.Close(MatrixReference.Product(dy, false, w, false, tokens, inDim, outDim), x.Grad!);
        }
    }

    [Theory]
    [InlineData("Float32")]
    [InlineData("BFloat16")]
    [InlineData("4,32")]
    [InlineData("4,64")]
    [InlineData("4,128")]
    [InlineData("4,-1")]
    [InlineData("4,48")]
    [InlineData("8,64")]
    [InlineData("nf4,32")]
    [InlineData("nf4,64")]
    [InlineData("nf4,48")]
    [InlineData("nf4,-1")]
    public void QLoraLinear_GivenBFloat16Precision_ShouldRoundOnlyTheOperands(string kind)
    {
        // Few and many rows; whole blocks of 128 codes and 512 inner elements, more than one of them, and what is left beside them.
        foreach ((int tokens, int inDim, int outDim) in new[] { (3, 300, 33), (40, 136, 70), (70, 256, 128), (67, 640, 160), (130, 1101, 43) })
        {
            if (IsTooLong((long)tokens * inDim * outDim))
            {
                continue;
            }

            WeightMatrix weight = Weight(kind, outDim, inDim);
            double[] values = Values(weight);
            double[] w = MatrixReference.Rounded(values);
            using ComputeScope scope = Record();
            scope.Precision = Precision.BFloat16;
            Tensor x = Parameter(new(tokens, inDim), 1);
            double[] input = Reference.ToDouble(x);
            (double[] left, double[] right) = weight.Quantized is not null && tokens <= UnroundedRows ? (input, values) : (MatrixReference.Rounded(input), w);

            Tensor y = QLoraLinear.Forward(scope, x, weight);
            BackwardFromWeightedSum(scope, y);

            double[] dy = MatrixReference.Rounded(MatrixReference.OutputGradient(tokens * outDim));
            GradientCheck.Close(MatrixReference.Product(left, false, right, true, tokens, outDim, inDim), y);
            GradientCheck.Close(MatrixReference.Product(dy, false, w, false, tokens, inDim, outDim), x.Grad!);
        }
    }

    [Theory]
    [InlineData(3, 5, 4, 2, 0f, true)]
    [InlineData(1, 1, 1, 1, 0f, false)]
    [InlineData(7, 19, 6, 8, 0f, true)]
    [InlineData(7, 19, 6, 3, 0.4f, true)]
    [InlineData(0, 4, 3, 2, 0.1f, true)]
    public void QLoraLinear_GivenBiasAndAdapter_ShouldHaveTheGradientsOfTheFormula(int tokens, int inDim, int outDim, int rank, float dropout, bool biased)
    {
        using ComputeScope scope = Record();
        scope.Random = new RandomState(11);
        Tensor x = Parameter(new(tokens, inDim), 1);
        Tensor w = Parameter(new(outDim, inDim), 2);
        Tensor? bias = biased ? Parameter(new(outDim), 3) : null;
        Tensor a = Parameter(new(rank, inDim), 4);
        Tensor b = Parameter(new(outDim, rank), 5);

        Tensor y = QLoraLinear.Forward(scope, x, new WeightMatrix(w), bias, new LoraBranch(a, b, 0.75f, dropout));
        BackwardFromWeightedSum(scope, y);

        ulong key = new RandomState(11).NextKey();
        double[] mask = Enumerable.Range(0, tokens * inDim)
            .Select(i => dropout == 0f ? 1.0 : RandomState.Uniform(key, i) >= dropout ? 1.0 / (1.0 - dropout) : 0.0).ToArray();
        double[][] values = [Reference.ToDouble(x), Reference.ToDouble(w), biased ? Reference.ToDouble(bias!) : new double[outDim], Reference.ToDouble(a), Reference.ToDouble(b)];
        double[] Expected(int replaced, double[] value)
        {
            double[][] v = [.. values];
            v[replaced] = value;
            return Formula(v[0], v[1], v[2], v[3], v[4], mask, tokens, inDim, outDim, rank);
        }

        GradientCheck.Close(Expected(0, values[0]), y);
        foreach ((int i, Tensor parameter) in new[] { (0, x), (1, w), (2, bias), (3, a), (4, b) }.Where(p => p.Item2 is not null).Select(p => (p.Item1, p.Item2!)))
        {
            GradientCheck.Matches(parameter, v => Reference.WeightedSum(Expected(i, v)));
        }
    }

    /// <summary>Beside a dense weight, beside codes, and beside codes that have offsets from an earlier merge.</summary>
    [Theory]
    [InlineData(3, 12, 4, 2, 4, 0f, null, 0)]
    [InlineData(5, 32, 6, 3, 8, 0f, "4,8", 4)]
    [InlineData(7, 24, 5, 4, 24, 0.4f, "3,8", 3)]
    [InlineData(4, 8, 3, 2, 1, 0.4f, "8,8", 0)]
    [InlineData(1, 64, 9, 2, 32, 0f, "4,32", 2)]
    [InlineData(40, 64, 9, 2, 16, 0.1f, "2,16", 4)]
    [InlineData(0, 32, 4, 2, 8, 0.1f, "4,8", 4)]
    public void QLoraLinear_GivenAnAdapterOfGroups_ShouldHaveTheGradientsOfTheFormula(
        int tokens, int inDim, int outDim, int rank, int groupSize, float dropout, string? codes, int offsetGroups)
    {
        using ComputeScope scope = Record();
        scope.Random = new RandomState(11);
        Tensor x = Parameter(new(tokens, inDim), 1);
        Tensor? offsets = offsetGroups > 0 ? Constant(new(outDim, offsetGroups), 6) : null;
        WeightMatrix weight = codes is null ? new WeightMatrix(Constant(new(outDim, inDim), 2)) : new WeightMatrix(Weight(codes, outDim, inDim).Quantized!, offsets: offsets);
        Tensor a = Parameter(new(rank, inDim / groupSize), 4);
        Tensor b = Parameter(new(outDim, rank), 5);

        Tensor y = QLoraLinear.Forward(scope, x, weight, null, new LoraBranch(a, b, 0.75f, dropout, groupSize));
        BackwardFromWeightedSum(scope, y);

        ulong key = new RandomState(11).NextKey();
        double[] mask = Enumerable.Range(0, tokens * inDim)
            .Select(i => dropout == 0f ? 1.0 : RandomState.Uniform(key, i) >= dropout ? 1.0 / (1.0 - dropout) : 0.0).ToArray();
        double[] w = Values(weight);
        if (offsets is not null)
        {
            double[] added = Reference.ToDouble(offsets);
            w = [.. w.Select((value, i) => value + added[(i / inDim * offsetGroups) + (i % inDim / (inDim / offsetGroups))])];
        }

        // PEFT's variants.py: x.view(-1, in / group, group).mean(2) * (in / group), so that a column of A weighs (in / group) / group of the sum.
        int groups = inDim / groupSize;
        double[] Expanded(double[] grouped) => [.. Enumerable.Range(0, rank * inDim).Select(i => grouped[(i / inDim * groups) + (i % inDim / groupSize)] / groupSize * groups)];
        double[] Expected(double[] input, double[] down, double[] up) =>
            Formula(input, w, new double[outDim], Expanded(down), up, mask, tokens, inDim, outDim, rank);
        (double[] vx, double[] va, double[] vb) = (Reference.ToDouble(x), Reference.ToDouble(a), Reference.ToDouble(b));
        GradientCheck.Close(Expected(vx, va, vb), y);
        GradientCheck.Matches(x, v => Reference.WeightedSum(Expected(v, va, vb)));
        GradientCheck.Matches(a, v => Reference.WeightedSum(Expected(vx, v, vb)));
        GradientCheck.Matches(b, v => Reference.WeightedSum(Expected(vx, va, v)));
    }

    [Fact]
    public void QLoraLinear_GivenDropoutWithoutRecording_ShouldNotDrop()
    {
        (Tensor x, Tensor a, Tensor b) = (Constant(new(4, 16), 1), Constant(new(2, 16), 2), Constant(new(8, 2), 3));
        WeightMatrix weight = new(Constant(new(8, 16), 4));
        using ComputeScope scope = new(Backend);

        Tensor with = QLoraLinear.Forward(scope, x, weight, null, new LoraBranch(a, b, 1f, 0.5f));
        Tensor without = QLoraLinear.Forward(scope, x, weight, null, new LoraBranch(a, b, 1f, 0f));

        Assert.Equal(without.ToArray(), with.ToArray());
        Assert.Equal(0ul, scope.Random.Counter);
    }

    [Fact]
    public void QLoraLinear_GivenDropoutInACheckpoint_ShouldRepeatTheMask()
    {
        (Tensor x, Tensor a, Tensor b) = (Parameter(new(6, 16), 1), Parameter(new(2, 16), 2), Parameter(new(8, 2), 3));
        WeightMatrix weight = new(Constant(new(8, 16), 4));
        float[][] gradients = new float[2][];
        for (int run = 0; run < 2; run++)
        {
            a.Grad!.Floats.Clear();
            using ComputeScope scope = Record();
            scope.Random = new RandomState(5);
            (WeightMatrix, LoraBranch) state = (weight, new LoraBranch(a, b, 1f, 0.5f));
            Tensor y = run == 0
                ? QLoraLinear.Forward(scope, x, weight, null, state.Item2)
                : Checkpoint.Forward(scope, x, state, static (s, input, layer) => QLoraLinear.Forward(s, input, layer.Item1, null, layer.Item2));
            BackwardFromWeightedSum(scope, y);
            gradients[run] = a.Grad!.ToArray();
        }

        Assert.Equal(gradients[0], gradients[1]);
    }

    [Fact]
    public void QLoraLinear_GivenShapesThatDoNotFit_ShouldSayThem()
    {
        using ComputeScope scope = new(Backend);
        Tensor x = Constant(new(2, 8), 1);
        WeightMatrix weight = new(Constant(new(4, 8), 2));
        Assert.Contains("[2, 7]", Assert.Throws<ArgumentException>(() => QLoraLinear.Forward(scope, Constant(new(2, 7), 1), weight)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => QLoraLinear.Forward(scope, x, weight, Constant(new(5), 3)));
        Assert.Throws<ArgumentException>(() => QLoraLinear.Forward(scope, x, weight, null, new LoraBranch(Constant(new(2, 8), 1), Constant(new(4, 3), 1), 1f, 0f)));
        Assert.Throws<ArgumentException>(() => QLoraLinear.Forward(scope, x, weight, null, new LoraBranch(Constant(new(2, 8), 1), Constant(new(4, 2), 1), 1f, 1f)));
        Assert.Throws<ArgumentException>(() => QLoraLinear.Forward(scope, x, weight, null, new LoraBranch(Constant(new(2, 2), 1), Constant(new(4, 2), 1), 1f, 0f, 3)));
        Assert.Throws<ArgumentException>(() => QLoraLinear.Forward(scope, x, weight, null, new LoraBranch(Constant(new(2, 8), 1), Constant(new(4, 2), 1), 1f, 0f, 4)));
        Assert.Contains("[4, 3]", Assert.Throws<ArgumentException>(() => new WeightMatrix(Weight("4,4", 4, 8).Quantized!, offsets: Constant(new(4, 3), 1))).Message, StringComparison.Ordinal);
    }

    protected static WeightMatrix Weight(string kind, int outDim, int inDim)
    {
        if (Enum.TryParse(kind, out DataType type) && char.IsLetter(kind[0]))
        {
            return new WeightMatrix(MatrixReference.Dense(outDim, inDim, type, 7));
        }

        string[] parts = kind.Split(',');
        return new WeightMatrix(MatrixReference.Quantized(
            outDim, inDim, parts[0], int.Parse(parts[1], null), parts.Length > 2, 8));
    }

    private static double[] Values(WeightMatrix weight)
    {
        if (weight.Quantized is not { } quantized)
        {
            return Reference.ToDouble(weight.Dense!);
        }

        double[] values = new double[weight.OutDim * weight.InDim];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = quantized[i / weight.InDim, i % weight.InDim];
        }

        return values;
    }

    private static double[] Formula(
        double[] x, double[] w, double[] bias, double[] a, double[] b, double[] mask, int tokens, int inDim, int outDim, int rank)
    {
        double[] dropped = x.Zip(mask, (value, m) => value * m).ToArray();
        double[] up = MatrixReference.Product(MatrixReference.Product(dropped, false, a, true, tokens, rank, inDim), false, b, true, tokens, outDim, rank);
        return MatrixReference.Product(x, false, w, true, tokens, outDim, inDim)
            .Select((value, i) => value + bias[i % outDim] + (0.75 * up[i])).ToArray();
    }
}

public abstract class CpuQLoraLinearTests(CpuTier tier) : QLoraLinearTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class CpuScalarQLoraLinearTests() : CpuQLoraLinearTests(CpuTier.Scalar);

public sealed class CpuVector128QLoraLinearTests() : CpuQLoraLinearTests(CpuTier.Vector128);

public sealed class CpuAvx2QLoraLinearTests() : CpuQLoraLinearTests(CpuTier.Avx2);

public sealed class CpuAvx512QLoraLinearTests() : CpuQLoraLinearTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16QLoraLinearTests() : CpuQLoraLinearTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxQLoraLinearTests() : CpuQLoraLinearTests(CpuTier.Amx);
