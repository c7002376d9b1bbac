using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>Operations that pick, move or reduce elements by their place.</summary>
public sealed class IndexKernelsTests : KernelTest
{
    [Theory]
    [InlineData(DataType.Float32)]
    [InlineData(DataType.BFloat16)]
    [InlineData(DataType.Float16)]
    public void Gather_GivenATableOfAnyType_ShouldMatchTheCpu(DataType type)
    {
        Tensor table = Halves(new(5, 3), type);
        Tensor ids = Tensor.From([4, 0, 4], new(3));
        (Tensor y, Tensor gpuY) = (Tensor.Create(new(3, 3)), Unwritten(new(3, 3)));
        Cpu.GatherRows(table, ids, y, accumulate: false);

        Gpu.GatherRows(Device(table), Device(ids), gpuY, accumulate: false);

        Close(y, gpuY, 0);
    }

    [Fact]
    public void ScatterAdd_GivenEqualIds_ShouldAddInOrder()
    {
        (Tensor updates, Tensor table) = (Host(new(4, 70), 1), Host(new(5, 70), 2));
        Tensor ids = Tensor.From([4, 0, 4, 4], new(4));
        Tensor gpuTable = Device(table);
        Cpu.ScatterAddRows(updates, ids, table);

        Gpu.ScatterAddRows(Device(updates), Device(ids), gpuTable);

        Close(table, gpuTable, 0);
    }

    [Fact]
    public void Gather_GivenAnIdOutsideTheTable_ShouldSayWhich()
    {
        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(
            () => Gpu.GatherRows(Device(Host(new(5, 3), 1)), Device(Tensor.From([0, 5], new(2))), Unwritten(new(2, 3)), accumulate: false));

        Assert.Contains("Id 1", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DataType.BFloat16)]
    [InlineData(DataType.Float16)]
    public void Cast_GivenNarrowNumbers_ShouldWidenThemExactly(DataType type)
    {
        Tensor x = Halves(new(24), type);
        (Tensor y, Tensor gpuY) = (Tensor.Create(x.Shape), Unwritten(x.Shape));
        Cpu.Cast(x, y);

        Gpu.Cast(Device(x), gpuY);

        Assert.Equal(y.ToArray(), gpuY.ToArray());
    }

    [Fact]
    public void Cast_GivenFloats_ShouldRoundAsTheCpuDoes()
    {
        Tensor x = Host(new(33), 1);
        (Tensor y, Tensor gpuY) = (Tensor.Create(x.Shape, DataType.BFloat16), Unwritten(x.Shape, DataType.BFloat16));
        Cpu.Cast(x, y);

        Gpu.Cast(Device(x), gpuY);

        Assert.Equal(y.ToArray(), gpuY.ToArray());
    }

    [Theory]
    [InlineData(0, 2, DataType.Float32, true)]
    [InlineData(1, 2, DataType.Float32, false)]
    [InlineData(0, 1, DataType.BFloat16, false)]
    public void Transpose_GivenTwoAxes_ShouldMatchTheCpu(int axis0, int axis1, DataType type, bool accumulate)
    {
        Tensor x = Halves(new(2, 3, 4), type);
        Shape shape = x.Shape.With(axis0, x.Shape[axis1]).With(axis1, x.Shape[axis0]);
        Tensor y = Halves(shape, type);
        Tensor gpuY = Device(y);
        Cpu.Transpose(x, axis0, axis1, y, accumulate);

        Gpu.Transpose(Device(x), axis0, axis1, gpuY, accumulate);

        Close(y, gpuY, 0);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(-1, false)]
    public void CopySlice_GivenAnAxis_ShouldMatchTheCpu(int axis, bool accumulate)
    {
        Shape shape = new(4, 5, 3);
        (Tensor x, Tensor y) = (Host(shape, 1), Host(shape.With(axis, 6), 2));
        Tensor gpuY = Device(y);
        Cpu.CopySlice(x, 1, y, 3, 2, axis, accumulate);

        Gpu.CopySlice(Device(x), 1, gpuY, 3, 2, axis, accumulate);

        Close(y, gpuY, 0);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Reduction_GivenAnAxis_ShouldMatchTheCpu(int axis)
    {
        Shape shape = new(3, 70, 2);
        Shape reduced = shape.With(axis, 1);
        (Tensor x, Tensor dx) = (Host(shape, 1), Host(shape, 2));
        x.Floats[5] = float.NaN;
        (Tensor y, Tensor max, Tensor indices) = (Tensor.Create(reduced), Tensor.Create(reduced), Tensor.Create(reduced, DataType.Int32));
        Tensor sums = Host(shape, 3);
        Tensor gpuDx = Device(dx);
        Cpu.ReduceSum(sums, axis, 0.25, y);
        Cpu.ReduceMax(x, axis, max, indices);
        Cpu.ReduceSumBackward(y, axis, 0.25, dx);
        Cpu.ReduceMaxBackward(y, indices, axis, dx);

        (Tensor gpuY, Tensor gpuMax, Tensor gpuIndices) = (Unwritten(reduced), Unwritten(reduced), Unwritten(reduced, DataType.Int32));
        Gpu.ReduceSum(Device(sums), axis, 0.25, gpuY);
        Gpu.ReduceMax(Device(x), axis, gpuMax, gpuIndices);
        Gpu.ReduceSumBackward(gpuY, axis, 0.25, gpuDx);
        Gpu.ReduceMaxBackward(gpuY, gpuIndices, axis, gpuDx);

        Close(y, gpuY, 1e-6);
        Assert.Equal(max.ToArray(), gpuMax.ToArray());
        Close(dx, gpuDx, 1e-6);
    }

    /// <summary>Seeded values rounded to the type, among them the smallest and special ones.</summary>
    private static Tensor Halves(Shape shape, DataType type)
    {
        Tensor values = Host(shape, 7);
        if (type == DataType.Float32)
        {
            return values;
        }

        Tensor narrow = Tensor.Create(shape, type);
        byte[] bytes = new byte[narrow.ByteLength];
        for (int i = 0; i < shape.Count; i++)
        {
            float value = i == 0 ? 3e-8f : (i == 1 ? -70000f * 16f : values.Floats[i]);
            ushort bits = type == DataType.BFloat16 ? ((BFloat16)value).Bits : BitConverter.HalfToUInt16Bits((Half)value);
            BitConverter.TryWriteBytes(bytes.AsSpan(2 * i), bits);
        }

        narrow.Storage.Write(0, bytes);
        return narrow;
    }
}
