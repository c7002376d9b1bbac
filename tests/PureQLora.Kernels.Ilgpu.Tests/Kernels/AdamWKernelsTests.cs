using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

public sealed class AdamWKernelsTests : KernelTest
{
    [Theory]
    [InlineData(1)]
    [InlineData(517)]
    public void AdamW_GivenThreeSteps_ShouldMatchTheCpu(int count)
    {
        Shape shape = new(count);
        (Tensor parameter, Tensor m, Tensor v) = (Host(shape, 1), Tensor.Create(shape), Tensor.Create(shape));
        (Tensor gpuParameter, Tensor gpuM, Tensor gpuV) = (Device(parameter), Device(m), Device(v));
        for (int step = 1; step <= 3; step++)
        {
            Tensor grad = Host(shape, 10 + step);
            Cpu.AdamWStep(parameter, grad, m, v, 1e-2, 0.9, 0.999, 1e-8, 0.1, step, 0.5f);
            Gpu.AdamWStep(gpuParameter, Device(grad), gpuM, gpuV, 1e-2, 0.9, 0.999, 1e-8, 0.1, step, 0.5f);
        }

        Close(parameter, gpuParameter, 1e-6);
        Close(m, gpuM, 1e-6);
        Close(v, gpuV, 1e-6);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5000)]       // more than one piece
    public void SumOfSquares_GivenAnyLength_ShouldBeThatOfFloat64(int count)
    {
        Tensor x = Host(new(count), 3);

        Assert.Equal(x.ToArray().Sum(value => (double)value * value), Gpu.SumOfSquares(Device(x)), 1e-12 * (1 + count));
    }
}
