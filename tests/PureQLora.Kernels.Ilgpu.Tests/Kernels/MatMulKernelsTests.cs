using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>The CPU engine rounds operands to bfloat16 as the kernels do, so that both differ in the order of float32 sums alone.</summary>
public sealed class MatMulKernelsTests : KernelTest
{
    [Theory]
    [InlineData(Precision.Float32, false, false, 5, 17, 9)]
    [InlineData(Precision.Float32, true, true, 67, 3, 70)]
    [InlineData(Precision.BFloat16, false, false, 5, 33, 9)]
    [InlineData(Precision.BFloat16, true, false, 9, 40, 35)]
    [InlineData(Precision.BFloat16, false, true, 3, 7, 70)]
#if !ILGPU
    [InlineData(Precision.BFloat16, true, true, 130, 129, 131)]      // more than one tile, and many steps
#endif
    public void MatMul_GivenAnyLayout_ShouldMatchTheCpu(Precision precision, bool transposeA, bool transposeB, int rows, int inner, int columns)
    {
        Tensor a = Host(transposeA ? new(inner, rows) : new(rows, inner), 1);
        Tensor b = Host(transposeB ? new(columns, inner) : new(inner, columns), 2);
        Tensor c = Host(new(rows, columns), 3);
        Tensor gpuC = Device(c);
        Cpu.MatMul(a, transposeA, b, transposeB, 0.5f, accumulate: true, c, precision);

        Gpu.MatMul(Device(a), transposeA, Device(b), transposeB, 0.5f, accumulate: true, gpuC, precision);

        Close(c, gpuC, 2e-5);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void MatMul_GivenABatch_ShouldServeEveryItemOrSumThem(bool sum)
    {
        (Tensor a, Tensor b) = (Host(new(3, 2, 4), 1), Host(new(3, 4, 5), 2));
        Tensor c = Tensor.Create(sum ? new(2, 5) : new(3, 2, 5));
        Tensor gpuC = Unwritten(c.Shape);
        Cpu.MatMul(a, false, b, false, 1f, accumulate: false, c, Precision.Float32);

        Gpu.MatMul(Device(a), false, Device(b), false, 1f, accumulate: false, gpuC, Precision.Float32);

        Close(c, gpuC);
    }
}
