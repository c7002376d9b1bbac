namespace PureQLora.Core.Tests;

public abstract class ReductionTests : OpTests
{
    public static TheoryData<string, long[], int?, bool> Cases
    {
        get
        {
            TheoryData<string, long[], int?, bool> cases = [];
            foreach (string kind in new[] { "sum", "mean", "max" })
            {
                foreach (bool keepDim in new[] { false, true })
                {
                    cases.Add(kind, [3, 5], null, keepDim);
                    cases.Add(kind, [3, 5], 0, keepDim);
                    cases.Add(kind, [3, 5], -1, keepDim);
                    cases.Add(kind, [7], 0, keepDim);
                    cases.Add(kind, [2, 3, 4, 5], 1, keepDim);
                    cases.Add(kind, [2, 3, 4, 5], -2, keepDim);
                    cases.Add(kind, [2, 1, 4], 1, keepDim);
                    cases.Add(kind, [0, 4], 1, keepDim);
                    cases.Add(kind, [70, 300], 0, keepDim);         // more rows and columns than one piece
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Reduction_GivenAnAxis_ShouldMatchFloat64(string kind, long[] shape, int? axis, bool keepDim)
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(shape), 6);

        Tensor y = kind switch
        {
            "sum" => Reduction.Sum(scope, x, axis, keepDim),
            "mean" => Reduction.Mean(scope, x, axis, keepDim),
            _ => Reduction.Max(scope, x, axis, keepDim),
        };
        BackwardFromWeightedSum(scope, y);

        double[] xs = Reference.ToDouble(x);
        double[] expected = Expected(kind, xs, x.Shape, axis, out double[] slope);
        GradientCheck.Close(expected, y);
        GradientCheck.Close(slope, x.Grad!);
        Assert.Equal(Names(shape, axis, keepDim), y.Shape.ToString());
    }

    [Fact]
    public void Reduction_GivenEveryLengthTo130_ShouldMatchFloat64()
    {
        for (int length = 0; length <= 130; length++)
        {
            using ComputeScope scope = new(Backend);
            Tensor rows = Constant(new(3, length), 7);
            Tensor columns = Constant(new(length, 3), 7);
            foreach (string kind in length == 0 ? new[] { "sum" } : ["sum", "mean", "max"])
            {
                foreach ((Tensor x, int axis) in new[] { (rows, 1), (columns, 0) })
                {
                    Tensor y = kind switch { "sum" => Reduction.Sum(scope, x, axis), "mean" => Reduction.Mean(scope, x, axis), _ => Reduction.Max(scope, x, axis) };
                    GradientCheck.Close(Expected(kind, Reference.ToDouble(x), x.Shape, axis, out _), y);
                }
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Max_GivenTies_ShouldSendTheGradientToTheFirst(int inner)
    {
        using ComputeScope scope = Record();
        Tensor x = Tensor.From(Enumerable.Repeat(new[] { 1f, 5f, 5f, -2f, 5f }, inner).SelectMany(v => v).ToArray(), new Shape(inner, 5)).AsParameter();
        Tensor laid = inner == 1 ? x : Transpose.Forward(scope, x);
        scope.Backward(Reduction.Sum(scope, Reduction.Max(scope, laid, inner == 1 ? 1 : 0)));
        Assert.Equal(Enumerable.Repeat(new[] { 0f, 1f, 0f, 0f, 0f }, inner).SelectMany(v => v), x.Grad!.ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Max_GivenNaN_ShouldReturnNaN(int axis)
    {
        using ComputeScope scope = new(Backend);
        Tensor x = Tensor.From([1f, float.NaN, 3f, float.NegativeInfinity], axis == 1 ? new Shape(1, 4) : new Shape(4, 1));
        Assert.True(float.IsNaN(Reduction.Max(scope, Binary.Add(scope, x, Tensor.Create(new(1, axis == 1 ? 1 : 2))), axis).ToArray()[0]));
    }

    [Fact]
    public void Mean_GivenAnEmptyAxis_ShouldBeNaNAndSumZero()
    {
        using ComputeScope scope = new(Backend);
        Tensor x = Tensor.Create(new(2, 0));
        Assert.All(Reduction.Mean(scope, x, 1).ToArray(), v => Assert.True(float.IsNaN(v)));
        Assert.Equal([0f, 0f], Reduction.Sum(scope, x, 1).ToArray());
        Assert.Equal([0f], Reduction.Sum(scope, x).ToArray());
        ArgumentException error = Assert.Throws<ArgumentException>(() => Reduction.Max(scope, x, 1));
        Assert.Contains("[2, 0]", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => Reduction.Sum(scope, x, 2));
    }

    [Fact]
    public void Sum_GivenAMillionElements_ShouldLoseNoDigits()
    {
        using ComputeScope scope = new(Backend);
        Tensor x = Tensor.Create(new(1 << 20, 1));
        x.Floats.Fill(0.1f);
        Assert.Equal((1 << 20) * (double)0.1f, Reduction.Sum(scope, x).ToArray()[0], 0.01);
        Assert.Equal((1 << 19) * (double)0.1f, Reduction.Sum(scope, Reshape.Forward(scope, x, new(1 << 19, 2)), 0).ToArray()[1], 0.01);
    }

    private static double[] Expected(string kind, double[] x, Shape shape, int? axis, out double[] slope)
    {
        (long outer, long extent, long inner) = axis is { } a ? shape.Around(shape.Axis(a)) : (1, shape.Count, 1);
        double[] y = new double[outer * inner];
        slope = new double[x.Length];
        for (long i = 0; i < y.Length; i++)
        {
            long start = (i / inner * extent * inner) + (i % inner);
            double[] line = [.. Enumerable.Range(0, (int)extent).Select(e => x[start + (e * inner)])];
            y[i] = kind switch { "sum" => line.Sum(), "mean" => line.Average(), _ => line.Max() };
            for (int e = 0; e < extent; e++)
            {
                double share = kind switch { "sum" => 1, "mean" => 1.0 / extent, _ => e == Array.IndexOf(line, y[i]) ? 1 : 0 };
                slope[start + (e * inner)] = share * Reference.Weight((int)i);
            }
        }

        return y;
    }

    private static string Names(long[] shape, int? axis, bool keepDim)
    {
        int at = axis is { } a ? (a + shape.Length) % shape.Length : -1;
        long[] left = [.. shape.Select((extent, i) => axis is null || i == at ? -1 : extent).Where(extent => keepDim || extent >= 0).Select(extent => Math.Abs(extent))];
        return left.Length == 0 ? "[1]" : new Shape(left).ToString();
    }
}

public sealed class CpuReductionTests : ReductionTests, IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    protected override IBackend Backend => _backend;

    public void Dispose() => _backend.Dispose();
}
