namespace PureQLora.Core.Tests;

/// <summary>Reshape, Transpose, Slice and Concatenate: moved elements are compared exactly, gradients too.</summary>
public abstract class LayoutTests : OpTests
{
    [Fact]
    public void Reshape_GivenAnotherShape_ShouldShareMemoryAndAddGradients()
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(3, 4), 1);
        Tensor y = Reshape.Forward(scope, x, new(2, 1, 6));
        BackwardFromWeightedSum(scope, Binary.Add(scope, y, Reshape.Forward(scope, x, new(2, 1, 6))));
        Assert.Same(x.Storage, y.Storage);
        Assert.Equal(x.ToArray(), y.ToArray());
        Assert.Equal(Enumerable.Range(0, 12).Select(i => (float)Reference.Weight(i) + (float)Reference.Weight(i)), x.Grad!.ToArray());
    }

    [Theory]
    [InlineData(7, 12)]
    [InlineData(13, 12)]
    public void Reshape_GivenAnotherCount_ShouldSayBothShapes(int count, int actual)
    {
        using ComputeScope scope = Record();
        ArgumentException error = Assert.Throws<ArgumentException>(() => Reshape.Forward(scope, Constant(new(3, 4), 1), new(count)));
        Assert.Contains($"[{count}]", error.Message, StringComparison.Ordinal);
        Assert.Contains($"[3, 4] has {actual}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new long[] { 3, 5 }, 0, 1)]
    [InlineData(new long[] { 70, 67 }, -2, -1)]         // more than one tile, and a ragged one
    [InlineData(new long[] { 2, 3, 4, 5 }, 0, 1)]
    [InlineData(new long[] { 2, 3, 4, 5 }, 1, 2)]       // heads and positions
    [InlineData(new long[] { 2, 3, 4, 5 }, 0, 3)]
    [InlineData(new long[] { 2, 3, 4, 5 }, 3, 1)]
    [InlineData(new long[] { 2, 3, 4 }, 1, 1)]
    [InlineData(new long[] { 6 }, 0, 0)]
    [InlineData(new long[] { 0, 3 }, 0, 1)]
    [InlineData(new long[] { 1, 5 }, 0, 1)]
    [InlineData(new long[] { 2, 0, 4 }, 0, 2)]
    public void Transpose_GivenTwoAxes_ShouldSwapThem(long[] shape, int axis0, int axis1)
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(shape), 2);
        x.Grad!.Floats.Fill(1f);        // backward must add to it
        Tensor y = Transpose.Forward(scope, x, axis0, axis1);
        BackwardFromWeightedSum(scope, y);

        (int a, int b) = (x.Shape.Axis(axis0), x.Shape.Axis(axis1));
        (float[] source, float[] result, float[] dx) = (x.ToArray(), y.ToArray(), x.Grad!.ToArray());
        for (int i = 0; i < source.Length; i++)
        {
            long[] index = Indices(i, x.Shape);
            (index[a], index[b]) = (index[b], index[a]);
            long at = Position(index, y.Shape);
            Assert.Equal(source[i], result[at]);
            Assert.Equal(1f + (float)Reference.Weight((int)at), dx[i]);
        }
    }

    [Theory]
    [InlineData(DataType.Int32)]
    [InlineData(DataType.BFloat16)]
    public void Transpose_GivenAnotherType_ShouldMoveItsElements(DataType type)
    {
        using ComputeScope scope = new(Backend);
        Tensor x = Numbered(scope, new(5, 37), type);
        Tensor back = Transpose.Forward(scope, Transpose.Forward(scope, x), 1, 0);
        Assert.Equal(Bytes(x), Bytes(back));
        Assert.NotEqual(Bytes(x), Bytes(Transpose.Forward(scope, x)));
    }

    [Theory]
    [InlineData(new long[] { 6 }, 0, 2, 3)]
    [InlineData(new long[] { 4, 5 }, 0, 1, 2)]
    [InlineData(new long[] { 4, 5 }, -1, 0, 5)]
    [InlineData(new long[] { 4, 5 }, -1, 3, 1)]
    [InlineData(new long[] { 2, 3, 4, 5 }, 2, 1, 2)]
    [InlineData(new long[] { 2, 3, 4, 5 }, 1, 2, 0)]
    public void Slice_GivenAStretch_ShouldCopyItAndOnlyIt(long[] shape, int axis, int start, int length)
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(shape), 3);
        Tensor y = Slice.Forward(scope, x, axis, start, length);
        BackwardFromWeightedSum(scope, y);

        int a = x.Shape.Axis(axis);
        (float[] source, float[] result, float[] dx) = (x.ToArray(), y.ToArray(), x.Grad!.ToArray());
        for (int i = 0; i < source.Length; i++)
        {
            long[] index = Indices(i, x.Shape);
            index[a] -= start;
            bool inside = index[a] >= 0 && index[a] < length;
            long at = inside ? Position(index, y.Shape) : 0;
            Assert.Equal(inside ? (float)Reference.Weight((int)at) : 0f, dx[i]);
            Assert.True(!inside || source[i] == result[at]);
        }
    }

    [Theory]
    [InlineData(0, -1, 2)]
    [InlineData(0, 3, 2)]
    [InlineData(0, 0, 5)]
    [InlineData(1, 2, -1)]
    [InlineData(0, long.MaxValue, 2)]
    public void Slice_GivenAStretchThatLeaves_ShouldSayWhere(int axis, long start, long length)
    {
        using ComputeScope scope = Record();
        ArgumentException error = Assert.Throws<ArgumentException>(() => Slice.Forward(scope, Constant(new(4, 5), 1), axis, start, length));
        Assert.Contains("[4, 5]", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(-1)]
    public void Concatenate_GivenSlices_ShouldRestoreTheWhole(int axis)
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(5, 6, 7), 4);
        long extent = x.Shape[axis];
        Tensor y = Concatenate.Forward(
            scope, axis, Slice.Forward(scope, x, axis, 0, 2), Slice.Forward(scope, x, axis, 2, 0), Slice.Forward(scope, x, axis, 2, extent - 2));
        BackwardFromWeightedSum(scope, y);
        Assert.Equal(x.ToArray(), y.ToArray());
        Assert.Equal(Enumerable.Range(0, 210).Select(i => (float)Reference.Weight(i)), x.Grad!.ToArray());
    }

    [Fact]
    public void Concatenate_GivenAConstantAmongParameters_ShouldGiveItNoGradient()
    {
        using ComputeScope scope = Record();
        (Tensor a, Tensor b) = (Constant(new(2, 3), 1), Parameter(new(2, 1), 2));
        BackwardFromWeightedSum(scope, Concatenate.Forward(scope, 1, a, b, b));
        Assert.Null(a.Grad);
        Assert.Equal([(float)Reference.Weight(3) + (float)Reference.Weight(4), (float)Reference.Weight(8) + (float)Reference.Weight(9)], b.Grad!.ToArray());
    }

    [Theory]
    [InlineData(new long[] { 2, 4 })]
    [InlineData(new long[] { 3 })]
    public void Concatenate_GivenPartsThatDoNotFit_ShouldSayBothShapes(long[] other)
    {
        using ComputeScope scope = Record();
        ArgumentException error = Assert.Throws<ArgumentException>(() => Concatenate.Forward(scope, 0, Constant(new(2, 3), 1), Constant(new(other), 2)));
        Assert.Contains("[2, 3]", error.Message, StringComparison.Ordinal);
        Assert.Contains(new Shape(other).ToString(), error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Concatenate.Forward(scope, 0));
    }

    [Theory]
    [InlineData(DataType.Float32)]
    [InlineData(DataType.Int32)]
    [InlineData(DataType.BFloat16)]
    public void CopySlice_GivenACacheToAppendTo_ShouldWriteOnlyTheNewPositions(DataType type)
    {
        using ComputeScope scope = new(Backend);
        Tensor cache = scope.Zeros(new(2, 5, 3), type);
        Tensor fresh = Numbered(scope, new(2, 2, 3), type);
        Backend.CopySlice(fresh, 0, cache, 2, 2, 1, accumulate: false);
        Tensor back = Slice.Forward(scope, cache, 1, 2, 2);
        Assert.Equal(Bytes(fresh), Bytes(back));
        Assert.All(Bytes(Slice.Forward(scope, cache, 1, 0, 2)), v => Assert.Equal(0, v));
        Assert.All(Bytes(Slice.Forward(scope, cache, 1, 4, 1)), v => Assert.Equal(0, v));
    }

    [Fact]
    public void CopySlice_GivenWhatDoesNotFit_ShouldRefuse()
    {
        using ComputeScope scope = new(Backend);
        (Tensor a, Tensor b) = (scope.Zeros(new(2, 3)), scope.Zeros(new(2, 4)));
        Assert.Throws<ArgumentException>(() => Backend.CopySlice(a, 0, b, 2, 3, 1, accumulate: false));
        Assert.Throws<ArgumentException>(() => Backend.CopySlice(a, 1, b, 0, 3, 1, accumulate: false));
        Assert.Throws<ArgumentException>(() => Backend.CopySlice(a, 0, b, 0, 2, 0, accumulate: false));
        Tensor ids = scope.Zeros(new(2, 3), DataType.Int32);
        Assert.Throws<ArgumentException>(() => Backend.CopySlice(ids, 0, a, 0, 2, 0, accumulate: false));
        Assert.Throws<ArgumentException>(() => Backend.CopySlice(ids, 0, ids, 0, 2, 0, accumulate: true));
    }

    private static byte[] Bytes(Tensor x)
    {
        byte[] bytes = new byte[x.ByteLength];
        x.Storage.Read(x.ByteOffset, bytes);
        return bytes;
    }

    private static Tensor Numbered(ComputeScope scope, Shape shape, DataType type)
    {
        Tensor x = scope.New(shape, type);
        x.Storage.Write(x.ByteOffset, [.. Enumerable.Range(0, (int)x.ByteLength).Select(i => (byte)((i * 7) + 1))]);
        return x;
    }

    private static long[] Indices(long i, Shape shape)
    {
        long[] index = new long[shape.Rank];
        for (int axis = shape.Rank - 1; axis >= 0; axis--)
        {
            (i, index[axis]) = Math.DivRem(i, shape[axis]);
        }

        return index;
    }

    private static long Position(long[] index, Shape shape)
    {
        long at = 0;
        for (int axis = 0; axis < index.Length; axis++)
        {
            at = (at * shape[axis]) + index[axis];
        }

        return at;
    }
}

public sealed class CpuLayoutTests : LayoutTests, IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    protected override IBackend Backend => _backend;

    public void Dispose() => _backend.Dispose();
}
