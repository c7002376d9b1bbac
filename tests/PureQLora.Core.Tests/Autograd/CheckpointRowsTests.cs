namespace PureQLora.Core.Tests;

public sealed class CheckpointRowsTests : IDisposable
{
    private const int Width = 32;

    /// <summary>x + dropout(gelu(x ∘ w)), as the end of a block.</summary>
    private static readonly Checkpoint.Block<Tensor> Layer = static (scope, x, weight) =>
        Binary.Add(scope, x, Dropout.Forward(scope, Unary.Gelu(scope, Binary.Multiply(scope, x, weight)), 0.3f), endsBlock: true);

    private readonly CpuBackend _backend = new(threads: 2);

    public void Dispose() => _backend.Dispose();

    [Theory]
    [InlineData(1, 8)]
    [InlineData(16, 8)]
    [InlineData(16, 40)]
    [InlineData(100, 8)]
    public void ForwardRows_GivenAnyNumberAtOnce_ShouldGiveTheSameGradients(int rowsAtOnce, int rows)
    {
        Checkpoint.Block<Tensor> block = static (scope, x, weight) => Unary.Gelu(scope, Binary.Multiply(scope, x, weight));
        float[][] whole = Gradients(rows, (scope, x, w) => block(scope, Binary.Scale(scope, x, 2f), w));
        float[][] parts = Gradients(rows, (scope, x, w) => Checkpoint.ForwardRows(scope, Binary.Scale(scope, x, 2f), w, block, rowsAtOnce));
        Assert.Equal(whole[0], parts[0]);
        Assert.Equal(whole[2], parts[2]);
        for (int i = 0; i < Width; i++)
        {
            // The weight's gradient is summed over rows, part by part.
            Assert.Equal(whole[1][i], parts[1][i], 2e-5f * rows);
        }
    }

    [Fact]
    public void ForwardRows_GivenTheEndOfACheckpointedBlock_ShouldGiveTheSameBitsAndRunTwice()
    {
        int runs = 0;
        Tensor Counted(ComputeScope scope, Tensor x, Tensor w)
        {
            runs++;
            return Layer(scope, x, w);
        }

        Tensor Ending(ComputeScope scope, Tensor x, Tensor w) =>
            Checkpoint.ForwardRows(scope, Binary.Multiply(scope, x, w), w, Counted, rowsAtOnce: 16, endsBlock: true);
        float[][] alone = Gradients(40, Ending);
        int once = runs;
        float[][] nested = Gradients(40, (scope, x, w) => Checkpoint.Forward(scope, Checkpoint.Forward(scope, x, w, Ending), w, Ending));
        float[][] plain = Gradients(40, (scope, x, w) => Ending(scope, Ending(scope, x, w), w));
        Assert.Equal(plain, nested);
        Assert.NotEqual(alone[0], nested[0]);
        Assert.Equal(2 * 3, once);
        Assert.Equal(5 * once, runs);
    }

    [Fact]
    public void ForwardRows_GivenTheEndOfABlockThatIsNotCheckpointed_ShouldComputeIt()
    {
        float[][] plain = Gradients(24, static (scope, x, w) => Layer(scope, Layer(scope, x, w), w));
        float[][] rows = Gradients(24, static (scope, x, w) => Checkpoint.ForwardRows(
            scope, Checkpoint.ForwardRows(scope, x, w, Layer, rowsAtOnce: 24, endsBlock: true), w, Layer, rowsAtOnce: 24, endsBlock: true));
        Assert.Equal(plain, rows);
    }

    [Fact]
    public void ForwardRows_GivenAnInputUsedTwice_ShouldAddToItsGradient()
    {
        static Tensor Double(ComputeScope scope, Tensor x, Tensor w) => Binary.Multiply(scope, x, w);
        float[][] plain = Gradients(40, static (scope, x, w) =>
        {
            Tensor inner = Binary.Scale(scope, x, 3f);
            return Binary.Multiply(scope, Double(scope, inner, w), inner);
        });
        float[][] rows = Gradients(40, static (scope, x, w) =>
        {
            Tensor inner = Binary.Scale(scope, x, 3f);
            return Binary.Multiply(scope, Checkpoint.ForwardRows(scope, inner, w, Double, rowsAtOnce: 16), inner);
        });
        Assert.Equal(plain[2], rows[2]);
    }

    [Fact]
    public void ForwardRows_GivenMoreRows_ShouldHoldTheWideTensorsOfAPartOnly()
    {
        long few = Peak(rows: 64);
        long many = Peak(rows: 256);

        // x is a parameter; y, its gradient, Σ y, and nothing of a wide tensor.
        Assert.InRange(many - few, 1, 2L * (256 - 64) * Width * sizeof(float));
    }

    [Fact]
    public void ForwardRows_GivenABlockThatChangesTheShape_ShouldRefuse()
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        ArgumentException error = Assert.Throws<ArgumentException>(() => Checkpoint.ForwardRows(
            scope, Tensor.Create(new(8, 4)), 0, static (scope, x, _) => Reshape.Forward(scope, x, new Shape(x.Shape.Count)), rowsAtOnce: 16));
        Assert.Contains("rows keep their shape", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Linear_GivenThatItEndsTheBlock_ShouldLeaveItsValuesOutInTheSecondRunOnly()
    {
        List<float> values = [];
        WeightMatrix weight = new(Tensor.From([.. Enumerable.Range(0, Width * Width).Select(i => MathF.Sin(i))], new(Width, Width)));
        Tensor Block(ComputeScope scope, Tensor x, Tensor bias, bool endsBlock)
        {
            // What lies where the result will.
            ComputeScope.Position mark = scope.Mark();
            scope.Backend.Fill(scope.New(x.Shape), 7f);
            scope.Rewind(mark);
            Tensor y = QLoraLinear.Forward(scope, x, weight, bias, endsBlock: endsBlock);
            values.Add(y.Floats[0]);
            return y;
        }

        float[][] computed = Gradients(24, (scope, x, bias) => Checkpoint.Forward(scope, x, bias, (scope, x, bias) => Block(scope, x, bias, false)));
        Assert.Equal(values[0], values[1]);
        float[][] leftOut = Gradients(24, (scope, x, bias) => Checkpoint.Forward(scope, x, bias, (scope, x, bias) => Block(scope, x, bias, true)));
        Assert.Equal(computed, leftOut);
        Assert.Equal([values[0], 7f], values[2..]);
    }

    private long Peak(int rows)
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        Tensor weight = Tensor.Create(new(Width)).AsParameter();
        Tensor y = Checkpoint.ForwardRows(
            scope,
            Tensor.Create(new(rows, Width)).AsParameter(),
            weight,
            static (scope, x, w) =>
            {
                Tensor wide = Concatenate.Forward(scope, 1, x, x, x);
                return Binary.Multiply(scope, Slice.Forward(scope, Unary.Gelu(scope, wide), 1, 0, Width), w);
            },
            rowsAtOnce: 64);
        scope.Backward(Reduction.Sum(scope, y));
        return scope.Arena.PeakBytes;
    }

    /// <summary>Output and the gradients of the weight and the input.</summary>
    private float[][] Gradients(int rows, Func<ComputeScope, Tensor, Tensor, Tensor> network)
    {
        using ComputeScope scope = new(_backend, recordGradients: true) { Random = new RandomState(5) };
        Tensor x = Tensor.From([.. Enumerable.Range(0, rows * Width).Select(i => MathF.Sin(i) * 2f)], new Shape(rows, Width)).AsParameter();
        Tensor weight = Tensor.From([.. Enumerable.Range(0, Width).Select(i => MathF.Cos(3 * i))], new Shape(Width)).AsParameter();
        Tensor y = network(scope, x, weight);
        WeightedSumLoss.Backward(scope, y);
        Assert.Contains(weight.Grad!.ToArray(), g => g != 0f);
        return [y.ToArray(), weight.Grad.ToArray(), x.Grad!.ToArray()];
    }
}
