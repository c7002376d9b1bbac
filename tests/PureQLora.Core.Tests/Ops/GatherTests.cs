namespace PureQLora.Core.Tests;

/// <summary>Gather, Embedding and ScatterAdd.</summary>
public abstract class GatherTests : OpTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(64)]
    [InlineData(131)]       // more than one block of columns, and a ragged one
    public void Embedding_GivenRepeatedIds_ShouldPickRowsAndAddTheirGradients(int hidden)
    {
        using ComputeScope scope = Record();
        Tensor table = Parameter(new(4, hidden), 1);
        Tensor ids = Tensor.From([3, 0, 3, 1, 3, 0], new Shape(2, 3));

        Tensor y = Embedding.Forward(scope, table, ids);
        BackwardFromWeightedSum(scope, y);

        Assert.Equal(new Shape(2, 3, hidden), y.Shape);
        float[] rows = table.ToArray();
        Assert.Equal(ids.Ints.ToArray().SelectMany(id => rows[(id * hidden)..((id + 1) * hidden)]), y.ToArray());
        float[] expected = new float[4 * hidden];
        for (int i = 0; i < y.Shape.Count; i++)
        {
            expected[(ids.Ints[i / hidden] * hidden) + (i % hidden)] += (float)Reference.Weight(i);
        }

        Assert.Equal(expected, table.Grad!.ToArray());
    }

    [Theory]
    [InlineData(DataType.BFloat16)]
    [InlineData(DataType.Float16)]
    public void Gather_GivenAFrozenNarrowTable_ShouldWidenItsRows(DataType type)
    {
        for (int width = 0; width <= 130; width++)
        {
            using ComputeScope scope = Record();
            Tensor table = Tensor.Create(new(3, width), type);
            table.Storage.Write(0, [.. Enumerable.Range(0, 3 * width).SelectMany(i => type == DataType.Float16
                ? BitConverter.GetBytes((Half)((i * 0.37f) - 9f))
                : BitConverter.GetBytes(((BFloat16)((i * 0.37f) - 9f)).Bits))]);
            Tensor y = Gather.Forward(scope, table, Tensor.From([2, 0], new Shape(2)));
            float[] values = table.ToArray();
            Assert.Equal([.. values[(2 * width)..], .. values[..width]], y.ToArray());
            Assert.False(y.RequiresGrad);
        }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(4)]
    [InlineData(int.MinValue)]
    public void Gather_GivenAnIdOutOfRange_ShouldThrowBeforeWriting(int bad)
    {
        using ComputeScope scope = Record();
        Tensor table = Parameter(new(4, 3), 1);
        Tensor ids = Tensor.From([1, bad], new Shape(2));
        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(() => Gather.Forward(scope, table, ids));
        Assert.Contains("[4, 3]", error.Message, StringComparison.Ordinal);

        Tensor y = scope.Zeros(new(2, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => Backend.GatherRows(table, ids, y, accumulate: false));
        Assert.All(y.ToArray(), v => Assert.Equal(0f, v));
        Assert.Throws<ArgumentOutOfRangeException>(() => Backend.ScatterAddRows(Constant(new(2, 3), 2), ids, y));
        Assert.All(y.ToArray(), v => Assert.Equal(0f, v));
        Assert.Throws<ArgumentOutOfRangeException>(() => ScatterAdd.Forward(scope, table, ids, Constant(new(2, 3), 2)));
    }

    [Fact]
    public void Gather_GivenRowsOfAnyRank_ShouldAppendThem()
    {
        using ComputeScope scope = Record();
        Tensor vector = Parameter(new(5), 1);
        Assert.Equal(new Shape(2, 2), Gather.Forward(scope, vector, Tensor.From([1, 2, 3, 4], new Shape(2, 2))).Shape);
        Tensor cube = Parameter(new(5, 2, 3), 2);
        Tensor y = Gather.Forward(scope, cube, Tensor.From([4], new Shape(1)));
        Assert.Equal(new Shape(1, 2, 3), y.Shape);
        Assert.Equal(cube.ToArray()[24..], y.ToArray());
        Assert.Equal(new Shape(0, 2, 3), Gather.Forward(scope, cube, Tensor.Create(new(0), DataType.Int32)).Shape);
        ArgumentException error = Assert.Throws<ArgumentException>(() => Gather.Forward(scope, cube, Tensor.Create(new(1, 1, 1), DataType.Int32)));
        Assert.Contains("[5, 2, 3]", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Gather.Forward(scope, cube, vector));
        Assert.Throws<ArgumentException>(() => Embedding.Forward(scope, cube, Tensor.Create(new(1), DataType.Int32)));
    }

    [Fact]
    public void ScatterAdd_GivenRepeatedIds_ShouldAddInOrderAndPassBothGradients()
    {
        using ComputeScope scope = Record();
        (Tensor x, Tensor updates) = (Parameter(new(4, 70), 1), Parameter(new(2, 3, 70), 2));
        Tensor ids = Tensor.From([2, 2, 0, 1, 2, 0], new Shape(2, 3));

        Tensor y = ScatterAdd.Forward(scope, x, ids, updates);
        BackwardFromWeightedSum(scope, y);

        float[] expected = x.ToArray();
        float[] values = updates.ToArray();
        float[] gradient = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            int at = (ids.Ints[i / 70] * 70) + (i % 70);
            expected[at] += values[i];
            gradient[i] = (float)Reference.Weight(at);
        }

        Assert.Equal(expected, y.ToArray());
        Assert.Equal(gradient, updates.Grad!.ToArray());
        Assert.Equal(Enumerable.Range(0, 280).Select(i => (float)Reference.Weight(i)), x.Grad!.ToArray());
        ArgumentException error = Assert.Throws<ArgumentException>(() => ScatterAdd.Forward(scope, x, ids, Constant(new(6, 70), 3)));
        Assert.Contains("[2, 3, 70]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[6, 70]", error.Message, StringComparison.Ordinal);
    }
}

public sealed class CpuGatherTests : GatherTests, IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    protected override IBackend Backend => _backend;

    public void Dispose() => _backend.Dispose();
}
