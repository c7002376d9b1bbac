namespace PureQLora.Core.Tests;

public abstract class UnaryTests : OpTests
{
    public static TheoryData<UnaryKind> Kinds => [.. Enum.GetValues<UnaryKind>()];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Unary_GivenEveryLengthTo130_ShouldMatchFloat64(UnaryKind kind)
    {
        for (int length = 0; length <= 130; length++)
        {
            using ComputeScope scope = Record();
            Tensor x = Input(kind, length);

            Tensor y = Apply(scope, kind, x);
            BackwardFromWeightedSum(scope, y);

            double[] xs = Reference.ToDouble(x);
            GradientCheck.Close(Array.ConvertAll(xs, v => Expected(kind, v)), y);
            GradientCheck.Close([.. xs.Select((v, i) => Reference.Weight(i) * Slope(kind, v))], x.Grad!);
        }
    }

    /// <summary>What a function may be off where its value is next to nothing.</summary>
    protected virtual double AbsoluteError(UnaryKind kind) => kind == UnaryKind.GeluTanh ? 1e-6 : 1e-12;

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Unary_GivenTheWholeUsefulRange_ShouldKeepItsDigits(UnaryKind kind)
    {
        using ComputeScope scope = new(Backend);
        float[] xs = [.. Enumerable.Range(-4000, 8001).Select(i => i / 500f)];
        if (kind is UnaryKind.Log or UnaryKind.Sqrt)
        {
            xs = [.. xs.Select(MathF.Exp)];
        }

        float[] y = Apply(scope, kind, Tensor.From(xs, new Shape(xs.Length))).ToArray();

        // Relative: a few roundings, and for GELU's lower tail the rounding of x²/2 ≤ 32 inside the exponential. The absolute part
        // matters where the function crosses 0, and in the tail of the tanh form, whose definition cancels there.
        double absolute = AbsoluteError(kind);
        for (int i = 0; i < xs.Length; i++)
        {
            double expected = Expected(kind, xs[i]);
            Assert.True(Math.Abs(expected - y[i]) <= (5e-6 * Math.Abs(expected)) + absolute, $"{kind}({xs[i]:G9}) = {y[i]:G9}, expected {expected:G9}");
        }
    }

    [Theory]
    [InlineData(UnaryKind.Tanh)]
    [InlineData(UnaryKind.Silu)]
    [InlineData(UnaryKind.Gelu)]
    [InlineData(UnaryKind.GeluTanh)]
    public void Unary_GivenNextToNothing_ShouldKeepItsDigits(UnaryKind kind)
    {
        using ComputeScope scope = new(Backend);
        float[] xs = [.. Enumerable.Range(0, 200).Select(i => (i % 2 == 0 ? 0.7f : -0.7f) * MathF.Pow(10, -i / 7f))];

        float[] y = Apply(scope, kind, Tensor.From(xs, new Shape(xs.Length))).ToArray();

        // Relative alone: a few roundings.
        Assert.All(xs.Zip(y), pair => Assert.InRange(pair.Second / Expected(kind, pair.First), 1 - 1e-6, 1 + 1e-6));
    }

    [Theory]
    [InlineData(UnaryKind.Exp, float.NegativeInfinity, 0f)]
    [InlineData(UnaryKind.Exp, float.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(UnaryKind.Exp, 89f, float.PositiveInfinity)]
    [InlineData(UnaryKind.Log, 0f, float.NegativeInfinity)]
    [InlineData(UnaryKind.Log, -1f, float.NaN)]
    [InlineData(UnaryKind.Log, float.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(UnaryKind.Sqrt, -1f, float.NaN)]
    [InlineData(UnaryKind.Tanh, float.PositiveInfinity, 1f)]
    [InlineData(UnaryKind.Tanh, float.NegativeInfinity, -1f)]
    [InlineData(UnaryKind.Sigmoid, float.PositiveInfinity, 1f)]
    [InlineData(UnaryKind.Sigmoid, float.NegativeInfinity, 0f)]
    [InlineData(UnaryKind.Silu, float.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(UnaryKind.Silu, 0f, 0f)]
    [InlineData(UnaryKind.Silu, -200f, 0f)]
    [InlineData(UnaryKind.Gelu, float.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(UnaryKind.Gelu, 0f, 0f)]
    [InlineData(UnaryKind.Gelu, -40f, 0f)]
    [InlineData(UnaryKind.Gelu, 40f, 40f)]
    [InlineData(UnaryKind.GeluTanh, 40f, 40f)]
    [InlineData(UnaryKind.GeluTanh, -40f, 0f)]
    [InlineData(UnaryKind.Relu, float.NegativeInfinity, 0f)]
    [InlineData(UnaryKind.Relu, float.NaN, float.NaN)]
    [InlineData(UnaryKind.Negate, float.PositiveInfinity, float.NegativeInfinity)]
    [InlineData(UnaryKind.Abs, float.NegativeInfinity, float.PositiveInfinity)]
    [InlineData(UnaryKind.Exp, float.NaN, float.NaN)]
    [InlineData(UnaryKind.Tanh, float.NaN, float.NaN)]
    [InlineData(UnaryKind.Sigmoid, float.NaN, float.NaN)]
    [InlineData(UnaryKind.Gelu, float.NaN, float.NaN)]
    public void Unary_GivenALimit_ShouldTakeIt(UnaryKind kind, float x, float expected)
    {
        using ComputeScope scope = new(Backend);
        float[] xs = new float[37];
        Array.Fill(xs, x);
        Assert.All(Apply(scope, kind, Tensor.From(xs, new Shape(37))).ToArray(), y => Assert.True(y == expected || (float.IsNaN(y) && float.IsNaN(expected)), $"{kind}({x}) = {y}"));
    }

    [Theory]
    [InlineData(UnaryKind.Abs)]
    [InlineData(UnaryKind.Relu)]
    public void Unary_GivenTheKinkAtZero_ShouldHaveSlopeZero(UnaryKind kind)
    {
        using ComputeScope scope = Record();
        Tensor x = Tensor.Create(new Shape(21)).AsParameter();
        BackwardFromWeightedSum(scope, Apply(scope, kind, x));
        Assert.All(x.Grad!.ToArray(), g => Assert.Equal(0f, g));
    }

    private static Tensor Apply(ComputeScope scope, UnaryKind kind, Tensor x) => kind switch
    {
        UnaryKind.Exp => Unary.Exp(scope, x),
        UnaryKind.Log => Unary.Log(scope, x),
        UnaryKind.Sqrt => Unary.Sqrt(scope, x),
        UnaryKind.Tanh => Unary.Tanh(scope, x),
        UnaryKind.Sigmoid => Unary.Sigmoid(scope, x),
        UnaryKind.Silu => Unary.Silu(scope, x),
        UnaryKind.Gelu => Unary.Gelu(scope, x),
        UnaryKind.GeluTanh => Unary.GeluTanh(scope, x),
        UnaryKind.Relu => Unary.Relu(scope, x),
        UnaryKind.Negate => Unary.Negate(scope, x),
        UnaryKind.Square => Unary.Square(scope, x),
        UnaryKind.Abs => Unary.Abs(scope, x),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    private static double Expected(UnaryKind kind, double x) => kind switch
    {
        UnaryKind.Exp => Math.Exp(x),
        UnaryKind.Log => Math.Log(x),
        UnaryKind.Sqrt => Math.Sqrt(x),
        UnaryKind.Tanh => Math.Tanh(x),
        UnaryKind.Sigmoid => 1 / (1 + Math.Exp(-x)),
        UnaryKind.Silu => x / (1 + Math.Exp(-x)),
        UnaryKind.Gelu => x * Reference.NormalDistribution(x),
        UnaryKind.GeluTanh => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        UnaryKind.Relu => Math.Max(x, 0),
        UnaryKind.Negate => -x,
        UnaryKind.Square => x * x,
        UnaryKind.Abs => Math.Abs(x),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>Central difference in float64, element by element: the sweep over all lengths would be cubic otherwise.</summary>
    private static double Slope(UnaryKind kind, double x) => (Expected(kind, x + 1e-5) - Expected(kind, x - 1e-5)) / 2e-5;

    private static Tensor Input(UnaryKind kind, int length)
    {
        Tensor x = Parameter(new(length), 5);
        foreach (ref float value in x.Floats)
        {
            value = kind is UnaryKind.Log or UnaryKind.Sqrt ? MathF.Abs(value) + 0.2f : value * 3f;
        }

        return x;
    }
}

public sealed class CpuUnaryTests : UnaryTests, IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    protected override IBackend Backend => _backend;

    public void Dispose() => _backend.Dispose();
}
