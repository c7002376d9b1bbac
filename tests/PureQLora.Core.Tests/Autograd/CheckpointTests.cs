namespace PureQLora.Core.Tests;

public sealed class CheckpointTests : IDisposable
{
    private static readonly Checkpoint.Block<Tensor> Layer = static (scope, x, weight) =>
        Binary.Add(scope, x, Dropout.Forward(scope, Unary.Gelu(scope, Binary.Multiply(scope, x, weight)), 0.3f));

    private static readonly Checkpoint.Block<Tensor> TwoLayers = static (scope, x, weight) =>
        Checkpoint.Forward(scope, Checkpoint.Forward(scope, x, weight, Layer), weight, Layer);

    private readonly CpuBackend _backend = new(threads: 2);

    public void Dispose() => _backend.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Checkpoint_GivenDropoutInside_ShouldGiveTheSameBits(bool trainableInput)
    {
        float[][] plain = Gradients(trainableInput, (scope, x, w) => Layer(scope, Layer(scope, x, w), w));
        float[][] checkpointed = Gradients(trainableInput, (scope, x, w) => Checkpoint.Forward(scope, Checkpoint.Forward(scope, x, w, Layer), w, Layer));
        Assert.Equal(plain, checkpointed);
        Assert.Contains(plain[1], g => g != 0f);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Checkpoint_GivenCheckpointsInside_ShouldGiveTheSameBits(bool trainableInput)
    {
        float[][] plain = Gradients(trainableInput, (scope, x, w) => Layer(scope, Layer(scope, x, w), w));
        float[][] nested = Gradients(trainableInput, (scope, x, w) => Checkpoint.Forward(scope, x, w, TwoLayers));
        Assert.Equal(plain, nested);
    }

    [Fact]
    public void Checkpoint_GivenABlockThatReturnsItsInput_ShouldPassTheGradientOn()
    {
        // x is used once more, so that its gradient holds something when the block's share arrives.
        float[][] plain = Gradients(true, static (scope, x, w) => Binary.Multiply(scope, Binary.Multiply(scope, x, w), x));
        float[][] handedOn = Gradients(true, static (scope, x, w) =>
            Binary.Multiply(scope, Binary.Multiply(scope, Checkpoint.Forward(scope, x, w, static (_, inner, _) => inner), w), x));
        Assert.Equal(plain, handedOn);
    }

    [Fact]
    public void Checkpoint_GivenABlockThatReturnsAParameter_ShouldAddToItsGradient()
    {
        float[][] plain = Gradients(true, static (scope, x, w) => Binary.Multiply(scope, Binary.Multiply(scope, x, w), w));
        float[][] handedOn = Gradients(true, static (scope, x, w) =>
        {
            Tensor same = Checkpoint.Forward(scope, x, w, static (_, _, weight) => weight);
            return Binary.Multiply(scope, Binary.Multiply(scope, x, same), w);
        });
        Assert.Equal(plain, handedOn);
    }

    [Fact]
    public void Checkpoint_GivenAReshapedInputAsOutput_ShouldGiveTheSameBits()
    {
        static Tensor Fold(ComputeScope scope, Tensor x, Tensor w) => Reshape.Forward(scope, x, new Shape(x.Shape.Count / 4, 4));
        float[][] plain = Gradients(true, static (scope, x, w) => Unary.Tanh(scope, Fold(scope, Binary.Multiply(scope, x, w), w)));
        float[][] checkpointed = Gradients(true, static (scope, x, w) => Unary.Tanh(scope, Checkpoint.Forward(scope, Binary.Multiply(scope, x, w), w, Fold)));
        Assert.Equal(plain, checkpointed);
    }

    [Fact]
    public void Checkpoint_GivenABFloat16Boundary_ShouldGiveTheSameBits()
    {
        static Tensor Narrow(ComputeScope scope, Tensor x, Tensor w) =>
            Cast.Forward(scope, Layer(scope, Cast.Forward(scope, x, DataType.Float32), w), DataType.BFloat16);
        float[][] plain = Gradients(true, static (scope, x, w) => Narrow(scope, Cast.Forward(scope, x, DataType.BFloat16), w));
        float[][] checkpointed = Gradients(true, static (scope, x, w) => Checkpoint.Forward(scope, Cast.Forward(scope, x, DataType.BFloat16), w, Narrow));
        Assert.Equal(plain, checkpointed);
    }

    [Fact]
    public void Checkpoint_GivenRecordingSwitchedOffBeforeBackward_ShouldStillReachTheParameters()
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        Tensor weight = Tensor.From([2f], new Shape(1)).AsParameter();
        Tensor y = Checkpoint.Forward(scope, Tensor.From([3f], new Shape(1)), weight, static (scope, x, w) => Binary.Multiply(scope, x, w));
        scope.RecordsGradients = false;
        scope.Backward(y);
        Assert.Equal(3f, weight.Grad!.Floats[0]);
        Assert.False(scope.RecordsGradients);
    }

    [Fact]
    public void Checkpoint_GivenAnIntermediateTensorAsState_ShouldRefuseRatherThanLoseItsGradient()
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        Tensor weight = Tensor.From([2f], new Shape(1)).AsParameter();
        Tensor doubled = Binary.Scale(scope, weight, 2f);
        Tensor y = Checkpoint.Forward(scope, weight, doubled, static (scope, x, state) => Binary.Multiply(scope, x, state));
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => scope.Backward(y));
        Assert.Contains("pass it as the block's x", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Checkpoint_GivenManyLayers_ShouldNeedLessMemory()
    {
        long plain = Peak(static (scope, x, w) => Layer(scope, x, w));
        long checkpointed = Peak(static (scope, x, w) => Checkpoint.Forward(scope, x, w, Layer));
        Assert.True(checkpointed < 0.7 * plain, $"{checkpointed} against {plain} bytes");
    }

    [Fact]
    public void Checkpoint_GivenMoreLayers_ShouldNeedOneTensorMoreForEach()
    {
        long few = Peak(static (scope, x, w) => Checkpoint.Forward(scope, x, w, Layer), layers: 12, trainableInput: true);
        long many = Peak(static (scope, x, w) => Checkpoint.Forward(scope, x, w, Layer), layers: 24, trainableInput: true);
        Assert.Equal(12L * 16 * 1024 * sizeof(float), many - few);
    }

    private long Peak(Func<ComputeScope, Tensor, Tensor, Tensor> layer, int layers = 12, bool trainableInput = false)
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        Tensor weight = Tensor.Create(new(1024)).AsParameter();
        Tensor x = trainableInput ? Tensor.Create(new(16, 1024)).AsParameter() : scope.Zeros(new(16, 1024));
        for (int i = 0; i < layers; i++)
        {
            x = layer(scope, x, weight);
        }

        scope.Backward(Reduction.Sum(scope, x));
        return scope.Arena.PeakBytes;
    }

    /// <summary>Output, gradient of the weight, and gradient of the input or nothing.</summary>
    private float[][] Gradients(bool trainableInput, Func<ComputeScope, Tensor, Tensor, Tensor> network)
    {
        using ComputeScope scope = new(_backend, recordGradients: true) { Random = new RandomState(5) };
        Tensor x = Tensor.From([.. Enumerable.Range(0, 60).Select(i => MathF.Sin(i) * 2f)], new Shape(15, 4));
        Tensor weight = Tensor.From([0.5f, -1.5f, 2f, 0.1f], new Shape(4)).AsParameter();
        if (trainableInput)
        {
            x.AsParameter();
        }

        Tensor y = network(scope, x, weight);
        WeightedSumLoss.Backward(scope, y);
        Assert.NotNull(weight.Grad);
        return [y.ToArray(), weight.Grad.ToArray(), x.Grad?.ToArray() ?? []];
    }
}
