using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

public sealed class RotaryEmbeddingKernelsTests : KernelTest
{
    private readonly RotaryTable _table = new([1.0, 0.3, 0.01], 1.5, 20);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void RotaryEmbedding_GivenTokensOfSeveralHeads_ShouldMatchTheCpu(bool accumulate)
    {
        Shape shape = new(2, 5, 11, 6);
        (Tensor x, Tensor dy, Tensor dx) = (Host(shape, 1), Host(shape, 2), Host(shape, 3));
        Tensor positions = Tensor.From([0, 1, 2, 3, 19, 4, 4, 0, 7, 9], new(2, 5));
        Tensor y = Tensor.Create(shape);
        Tensor gpuDx = accumulate ? Device(dx) : Unwritten(shape);
        Cpu.RotaryEmbeddingForward(x, positions, _table, y);
        Cpu.RotaryEmbeddingBackward(dy, positions, _table, new(dx, accumulate));

        (Tensor gpuPositions, Tensor gpuY) = (Device(positions), Unwritten(shape));
        Gpu.RotaryEmbeddingForward(Device(x), gpuPositions, _table, gpuY);
        Gpu.RotaryEmbeddingBackward(Device(dy), gpuPositions, _table, new(gpuDx, accumulate));

        Close(y, gpuY);
        Close(dx, gpuDx);
    }

    [Theory]
    [InlineData(20)]
    [InlineData(-1)]
    public void RotaryEmbedding_GivenAPositionBeyondTheTable_ShouldSayWhich(int position)
    {
        Tensor x = Device(Host(new(1, 2, 1, 6), 1));
        Tensor positions = Device(Tensor.From([0, position], new(1, 2)));

        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(() => Gpu.RotaryEmbeddingForward(x, positions, _table, Unwritten(x.Shape)));

        Assert.Contains($"Token 1 has position {position}", error.Message, StringComparison.Ordinal);
    }
}
