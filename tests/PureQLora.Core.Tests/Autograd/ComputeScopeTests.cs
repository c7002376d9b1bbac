namespace PureQLora.Core.Tests;

public sealed class ComputeScopeTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void ComputeScope_GivenAHundredRepeatedPasses_ShouldAllocateAlmostNothing(int threads)
    {
        using CpuBackend backend = new(threads);
        using ComputeScope scope = new(backend, recordGradients: true);
        Tensor table = Tensor.Create(new(10, 64)).AsParameter();
        Tensor weight = Tensor.Create(new(64)).AsParameter();
        Tensor ids = Tensor.From([1, 2, 3, 3], new Shape(2, 2));
        for (int i = 0; i < 3; i++)
        {
            Pass(scope, table, weight, ids);
        }

        long allocated = Allocation.Of(() =>
        {
            for (int i = 0; i < 100; i++)
            {
                Pass(scope, table, weight, ids);
            }
        });
        Assert.True(allocated < 1024, $"{allocated} managed bytes in 100 passes");
    }

    [Fact]
    public void ComputeScope_GivenAReset_ShouldUseTheSameMemoryAgain()
    {
        using CpuBackend backend = new(1);
        using ComputeScope scope = new(backend);
        for (int i = 0; i < 4; i++)
        {
            _ = scope.New(new(3_000_000));
        }

        scope.Reset();
        long reserved = scope.Arena.ReservedBytes;
        Tensor first = scope.New(new(12_000_000));
        Assert.Equal(0, first.ByteOffset);
        Assert.Equal(reserved, scope.Arena.ReservedBytes);
    }

    [Fact]
    public void ComputeScope_GivenTensors_ShouldAlignThemAndKeepThemApart()
    {
        using CpuBackend backend = new(1);
        using ComputeScope scope = new(backend);
        long end = 0;
        foreach (int count in new[] { 0, 1, 15, 16, 17, 0, 3 })
        {
            Tensor x = scope.New(new(count));
            Assert.Equal(0, x.ByteOffset % CpuStorage.Alignment);
            Assert.True(x.ByteOffset >= end);
            end = x.ByteOffset + x.ByteLength;
        }
    }

    [Fact]
    public void ComputeScope_GivenADisposedScope_ShouldNotLetItsTensorsBeRead()
    {
        using CpuBackend backend = new(1);
        Tensor x;
        using (ComputeScope scope = new(backend))
        {
            x = scope.Zeros(new(4));
        }

        Assert.Throws<ObjectDisposedException>(() => x.ToArray());
    }

    [Fact]
    public void Backward_GivenALossThatIsNoScalarOrDependsOnNothing_ShouldRefuse()
    {
        using CpuBackend backend = new(1);
        using ComputeScope scope = new(backend, recordGradients: true);
        Tensor x = Tensor.Create(new(2)).AsParameter();
        Assert.Throws<InvalidOperationException>(() => scope.Backward(Unary.Exp(scope, x)));
        Assert.Throws<InvalidOperationException>(() => scope.Backward(Reduction.Sum(scope, Tensor.Create(new(2)))));
        scope.RecordsGradients = false;
        Assert.Throws<InvalidOperationException>(() => scope.Backward(Reduction.Sum(scope, x)));
    }

    [Fact]
    public void Backward_GivenTwoPasses_ShouldAddUpTheGradients()
    {
        using CpuBackend backend = new(1);
        using ComputeScope scope = new(backend, recordGradients: true);
        Tensor x = Tensor.From([2f, 3f], new Shape(2)).AsParameter();
        for (int i = 0; i < 2; i++)
        {
            scope.Backward(Reduction.Sum(scope, Unary.Square(scope, x)));
            scope.Reset();
        }

        Assert.Equal([8f, 12f], x.Grad!.ToArray());
    }

    [Fact]
    public void Backward_GivenAParameterOutsideTheLoss_ShouldLeaveItsGradientZero()
    {
        using CpuBackend backend = new(1);
        using ComputeScope scope = new(backend, recordGradients: true);
        (Tensor used, Tensor unused) = (Tensor.Create(new(2)).AsParameter(), Tensor.Create(new(2)).AsParameter());
        _ = Unary.Exp(scope, unused);
        scope.Backward(Reduction.Sum(scope, Unary.Exp(scope, used)));
        Assert.Equal([1f, 1f], used.Grad!.ToArray());
        Assert.Equal([0f, 0f], unused.Grad!.ToArray());
    }

    private static void Pass(ComputeScope scope, Tensor table, Tensor weight, Tensor ids)
    {
        scope.Reset();
        Tensor x = Embedding.Forward(scope, table, ids);
        x = Checkpoint.Forward(scope, x, weight, static (scope, x, w) => Dropout.Forward(scope, Unary.Gelu(scope, RmsNorm.Forward(scope, x, w, 1e-5f)), 0.1f));
        x = Concatenate.Forward(scope, 0, Slice.Forward(scope, x, 0, 1, 1), Transpose.Forward(scope, x, 0, 1));
        x = Cast.Forward(scope, Cast.Forward(scope, x, DataType.BFloat16), DataType.Float32);
        x = Binary.Multiply(scope, Binary.Add(scope, Softmax.Forward(scope, x), weight), Reduction.Max(scope, x, -1, keepDim: true));
        scope.Backward(Reduction.Mean(scope, LogSoftmax.Forward(scope, Reshape.Forward(scope, x, new Shape(6, 64)))));
    }
}
