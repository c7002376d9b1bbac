namespace PureQLora.Core.Tests;

/// <summary>Kernels that write the first share of a gradient: it must be all of it, whatever the memory held before.</summary>
public sealed class GradientTargetTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public static TheoryData<string, Precision> Operations => new()
    {
        { "add", Precision.Float32 },
        { "rotary", Precision.Float32 },
        { "swiglu", Precision.Float32 },
        { "attention", Precision.Float32 },
        { "attention", Precision.BFloat16 },
        { "attention of a longer buffer", Precision.Float32 },
        { "attention of a longer buffer", Precision.BFloat16 },
        { "cross entropy", Precision.Float32 },
    };

    public void Dispose() => _backend.Dispose();

    [Theory]
    [MemberData(nameof(Operations))]
    public void Backward_GivenIntermediateInputs_ShouldEqualThatOfParameters(string operation, Precision precision)
    {
        // A parameter's gradient is zero and added to; an intermediate one's is memory that holds NaN, and written.
        float[] added = Gradients(operation, precision, intermediate: false);
        float[] written = Gradients(operation, precision, intermediate: true);
        Assert.Contains(added, value => value != 0f);
        Assert.Equal(added, written);
    }

    private float[] Gradients(string operation, Precision precision, bool intermediate)
    {
        using ComputeScope scope = new(_backend, recordGradients: true) { Precision = precision };
        _backend.Fill(scope.New(new Shape(1 << 18)), float.NaN);
        scope.Reset();
        Tensor x = Parameter(operation == "cross entropy" ? new(19, 24) : new(2, 19, 4, 24), 1);
        Tensor other = Parameter(operation == "attention of a longer buffer" ? new(2, 23, 4, 24) : x.Shape, 2);
        (Tensor first, Tensor second) = intermediate ? (Binary.Scale(scope, x, 1f), Binary.Scale(scope, other, 1f)) : (x, other);
        Tensor y = Run(scope, operation, first, second);
        if (y.Shape.Count == 1)
        {
            scope.Backward(y);
        }
        else
        {
            WeightedSumLoss.Backward(scope, y);
        }

        return [.. x.Grad!.ToArray(), .. other.Grad!.ToArray()];
    }

    private static Tensor Run(ComputeScope scope, string operation, Tensor x, Tensor other) => operation switch
    {
        "add" => Binary.Add(scope, x, other),
        "rotary" => RotaryEmbedding.Forward(scope, x, Tensor.From(new int[38], new(2, 19)), new RotaryTable([1, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 1, 1)),
        "swiglu" => SwiGlu.Forward(scope, x, other),
        "cross entropy" => CrossEntropy.Forward(
            scope, x, new WeightMatrix(Constant(new(30, 24), 3)), Tensor.From([.. Enumerable.Range(0, 19).Select(i => i % 3 == 0 ? CrossEntropy.Ignored : i)], new(19)), 5f),
        _ => CausalAttention.Forward(scope, x, other, other, new AttentionMask { KeyCount = 19 }, 0.2f),
    };

    private static Tensor Parameter(Shape shape, int seed) => Constant(shape, seed).AsParameter();

    private static Tensor Constant(Shape shape, int seed)
    {
        Random random = new(seed);
        return Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(_ => (random.NextSingle() * 2) - 1)], shape);
    }
}
