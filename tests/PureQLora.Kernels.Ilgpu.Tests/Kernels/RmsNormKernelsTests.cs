using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

public sealed class RmsNormKernelsTests : KernelTest
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 67)]
    [InlineData(2, 300)]     // more columns than threads
    public void RmsNorm_GivenOddShapes_ShouldMatchTheCpu(int rows, int width)
    {
        (Tensor x, Tensor weight, Tensor dy) = (Host(new(rows, width), 1), Host(new(width), 2), Host(new(rows, width), 3));
        (Tensor y, Tensor rstd) = (Tensor.Create(x.Shape), Tensor.Create(new(rows)));
        (Tensor dx, Tensor dWeight) = (Host(x.Shape, 4), Host(weight.Shape, 5));
        (Tensor gpuDx, Tensor gpuDWeight) = (Device(dx), Device(dWeight));
        Cpu.RmsNormForward(x, weight, 1e-5f, y, rstd);
        Cpu.RmsNormBackward(dy, x, weight, rstd, dx, dWeight);

        (Tensor gpuX, Tensor gpuWeight, Tensor gpuY, Tensor gpuRstd) = (Device(x), Device(weight), Unwritten(x.Shape), Unwritten(new(rows)));
        Gpu.RmsNormForward(gpuX, gpuWeight, 1e-5f, gpuY, gpuRstd);
        Gpu.RmsNormBackward(Device(dy), gpuX, gpuWeight, gpuRstd, gpuDx, gpuDWeight);

        Close(y, gpuY);
        Close(rstd, gpuRstd);
        Close(dx, gpuDx);
        Close(dWeight, gpuDWeight);
    }

    [Fact]
    public void RmsNorm_GivenNoRows_ShouldDoNothing()
    {
        Tensor empty = Unwritten(new(0, 8));
        Gpu.RmsNormForward(empty, Device(Host(new(8), 1)), 1e-5f, empty, Unwritten(new(0)));
    }
}
