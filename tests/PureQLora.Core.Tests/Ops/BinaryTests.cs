namespace PureQLora.Core.Tests;

public abstract class BinaryTests : OpTests
{
    public static TheoryData<BinaryKind, long[], long[]> Cases
    {
        get
        {
            TheoryData<BinaryKind, long[], long[]> cases = [];
            foreach (BinaryKind kind in Enum.GetValues<BinaryKind>())
            {
                cases.Add(kind, [3, 5], [3, 5]);
                cases.Add(kind, [7, 19], [19]);                     // a bias
                cases.Add(kind, [19], [7, 19]);
                cases.Add(kind, [5, 1], [5, 17]);                   // a factor a row
                cases.Add(kind, [4, 6], [1]);
                cases.Add(kind, [1], [1, 1]);
                cases.Add(kind, [3, 1], [1, 4]);                    // an outer product
                cases.Add(kind, [2, 1, 3, 1], [4, 1, 5]);
                cases.Add(kind, [2, 3, 4, 5], [3, 1, 5]);
                cases.Add(kind, [2, 3, 4, 5], [2, 1, 4, 1]);
                cases.Add(kind, [2, 3, 1, 1], [2, 3, 2, 3]);
                cases.Add(kind, [0, 4], [4]);
                cases.Add(kind, [3, 0], [3, 1]);
                cases.Add(kind, [1], [0]);
            }

            return cases;
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Add_GivenOperandsThatDependOnEachOther_ShouldSumTheirGradients(int order)
    {
        // a + b, b + a and a + a with a = 2x and b = 3a, plus c = 5a: its share comes to a's gradient before b's is used.
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(3, 5), 1);
        Tensor a = Binary.Scale(scope, x, 2f);
        Tensor b = order == 2 ? a : Binary.Scale(scope, a, 3f);
        Tensor c = Binary.Scale(scope, a, 5f);
        Tensor sum = order == 1 ? Binary.Add(scope, b, a) : Binary.Add(scope, a, b);
        BackwardFromWeightedSum(scope, Binary.Add(scope, sum, c));
        double slope = order == 2 ? 14 : 18;
        GradientCheck.Close([.. Enumerable.Range(0, 15).Select(i => slope * Reference.Weight(i))], x.Grad!, 1e-6);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Binary_GivenShapesThatGoTogether_ShouldMatchFloat64(BinaryKind kind, long[] shapeA, long[] shapeB)
    {
        using ComputeScope scope = Record();
        (Tensor a, Tensor b) = (Parameter(new(shapeA), 1), Parameter(new(shapeB), 2));
        foreach (ref float value in b.Floats)
        {
            value += value < 0 ? -0.5f : 0.5f;
        }

        Tensor y = Apply(scope, kind, a, b);
        BackwardFromWeightedSum(scope, y);

        (double[] left, double[] right) = (Reference.ToDouble(a), Reference.ToDouble(b));
        Shape common = Binary.Broadcast(a.Shape, b.Shape);
        Assert.Equal(common, y.Shape);
        GradientCheck.Close(Expected(kind, common, left, a.Shape, right, b.Shape), y);
        GradientCheck.Matches(a, v => Reference.WeightedSum(Expected(kind, common, v, a.Shape, right, b.Shape)));
        GradientCheck.Matches(b, v => Reference.WeightedSum(Expected(kind, common, left, a.Shape, v, b.Shape)));
    }

    [Fact]
    public void Binary_GivenEveryLengthTo130_ShouldMatchFloat64()
    {
        for (int length = 0; length <= 130; length++)
        {
            foreach (BinaryKind kind in Enum.GetValues<BinaryKind>())
            {
                using ComputeScope scope = Record();
                (Tensor a, Tensor b) = (Parameter(new(2, length), 1), Parameter(new(length), 2));
                b.Floats.Fill(1.5f);
                Tensor y = Apply(scope, kind, a, b);
                BackwardFromWeightedSum(scope, y);
                GradientCheck.Close(Expected(kind, a.Shape, Reference.ToDouble(a), a.Shape, Reference.ToDouble(b), b.Shape), y);
            }
        }
    }

    [Fact]
    public void Add_GivenABiasUnderManyRows_ShouldSumItsGradientExactly()
    {
        using ComputeScope scope = Record();
        int rows = (int)(5000 * Scale);
        Tensor x = Tensor.Create(new(rows, 33));
        Tensor bias = Parameter(new(33), 1);
        Tensor loss = Reduction.Sum(scope, Binary.Add(scope, x, bias));
        scope.Backward(loss);
        Assert.All(bias.Grad!.ToArray(), g => Assert.Equal(rows, g));
    }

    [Fact]
    public void Multiply_GivenOneScalarForAMillionElements_ShouldSumItsGradient()
    {
        using ComputeScope scope = Record();
        Tensor x = Constant(new((int)(1000 * Scale), 1000), 3);
        Tensor factor = Tensor.From([2f], new Shape(1)).AsParameter();
        scope.Backward(Reduction.Sum(scope, Binary.Multiply(scope, x, factor)));
        double expected = x.ToArray().Sum(v => (double)v);
        Assert.Equal(expected, factor.Grad!.Floats[0], 1e-6 * (1000 + Math.Abs(expected)));
    }

    [Fact]
    public void Multiply_GivenTheSameTensorTwice_ShouldAddBothGradients()
    {
        using ComputeScope scope = Record();
        Tensor x = Tensor.From([3f, -2f], new Shape(2)).AsParameter();
        scope.Backward(Reduction.Sum(scope, Binary.Multiply(scope, x, x)));
        Assert.Equal([6f, -4f], x.Grad!.ToArray());
    }

    [Fact]
    public void Affine_GivenFactorAndTerm_ShouldMatch()
    {
        for (int length = 0; length <= 130; length++)
        {
            using ComputeScope scope = Record();
            Tensor x = Parameter(new(length), 4);
            Tensor y = Binary.AddScalar(scope, Binary.Scale(scope, Binary.Affine(scope, x, -3f, 0.25f), 2f), 1f);
            BackwardFromWeightedSum(scope, y);
            GradientCheck.Close(Array.ConvertAll(Reference.ToDouble(x), v => (((-3 * v) + 0.25) * 2) + 1), y);
            GradientCheck.Close([.. Enumerable.Range(0, length).Select(i => -6 * Reference.Weight(i))], x.Grad!);
        }
    }

    [Theory]
    [InlineData(new long[] { 2, 3 }, new long[] { 2 })]
    [InlineData(new long[] { 4 }, new long[] { 3 })]
    [InlineData(new long[] { 2, 1, 3 }, new long[] { 2, 4, 2 })]
    [InlineData(new long[] { 0 }, new long[] { 2 })]
    public void Binary_GivenShapesThatDoNotGoTogether_ShouldSayBoth(long[] a, long[] b)
    {
        using ComputeScope scope = Record();
        ArgumentException error = Assert.Throws<ArgumentException>(() => Binary.Add(scope, Tensor.Create(new(a)), Tensor.Create(new(b))));
        Assert.Contains(new Shape(a).ToString(), error.Message, StringComparison.Ordinal);
        Assert.Contains(new Shape(b).ToString(), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Divide_GivenZerosAndInfinities_ShouldFollowIeee754()
    {
        using ComputeScope scope = new(Backend);
        Tensor a = Tensor.From([1f, -1f, 0f, float.PositiveInfinity, 1f], new Shape(5));
        Tensor b = Tensor.From([0f, 0f, 0f, float.PositiveInfinity, float.NegativeInfinity], new Shape(5));
        float[] y = Binary.Divide(scope, a, b).ToArray();
        Assert.Equal([float.PositiveInfinity, float.NegativeInfinity, float.NaN, float.NaN, -0f], y);
        Assert.True(float.IsNegative(y[4]));
    }

    private static Tensor Apply(ComputeScope scope, BinaryKind kind, Tensor a, Tensor b) => kind switch
    {
        BinaryKind.Add => Binary.Add(scope, a, b),
        BinaryKind.Subtract => Binary.Subtract(scope, a, b),
        BinaryKind.Multiply => Binary.Multiply(scope, a, b),
        _ => Binary.Divide(scope, a, b),
    };

    private static double[] Expected(BinaryKind kind, Shape common, double[] a, Shape shapeA, double[] b, Shape shapeB)
    {
        double[] y = new double[common.Count];
        for (int i = 0; i < y.Length; i++)
        {
            (double left, double right) = (a[Index(i, common, shapeA)], b[Index(i, common, shapeB)]);
            y[i] = kind switch
            {
                BinaryKind.Add => left + right,
                BinaryKind.Subtract => left - right,
                BinaryKind.Multiply => left * right,
                _ => left / right,
            };
        }

        return y;
    }

    /// <summary>Position in an operand of element i of the result.</summary>
    private static long Index(long i, Shape common, Shape shape)
    {
        (long index, long stride) = (0, 1);
        for (int axis = 1; axis <= shape.Rank; axis++)
        {
            index += shape[-axis] == 1 ? 0 : i % common[-axis] * stride;
            stride *= shape[-axis];
            i /= common[-axis];
        }

        return index;
    }
}

public sealed class CpuBinaryTests : BinaryTests, IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    protected override IBackend Backend => _backend;

    public void Dispose() => _backend.Dispose();
}
