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
    [FastData(Precision.BFloat16, true, true, 130, 129, 131)]      // more than one tile, and many steps
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

    /// <remarks>Few rows take operands as they are, whatever the precision.</remarks>
    [Theory]
    [InlineData(1, 40, 17, DataType.BFloat16)]
    [FastData(3, 264, 33, DataType.BFloat16)]      // more than the threads of a warp take at a time
    [InlineData(1, 24, 5, DataType.Float32)]
    [FastData(8, 264, 16, DataType.Float32)]
    public void MatMul_GivenFewRows_ShouldMatchTheCpuInFloat32(int rows, int inner, int columns, DataType type)
    {
        (Tensor a, Tensor b, Tensor c) = (Host(new(rows, inner), 1), Host(new(columns, inner), 2), Host(new(rows, columns), 3));
        Tensor gpuC = Device(c);
        Tensor weight = Tensor.Create(b.Shape, type);
        if (type == DataType.BFloat16)
        {
            Cpu.Cast(b, weight);
            Cpu.Cast(weight, b);
        }
        else
        {
            b.Floats.CopyTo(weight.Floats);
        }

        Cpu.MatMul(a, false, b, true, 0.5f, accumulate: true, c, Precision.Float32);

        Gpu.MatMul(Device(a), false, Device(weight), true, 0.5f, accumulate: true, gpuC, Precision.BFloat16);

        Close(c, gpuC, 2e-5);
#if !ILGPU

        // Of eight bfloat16 numbers at once the x takes two accesses, of every other four each.
        int most = type == DataType.BFloat16 ? (columns + 15) / 16 * 8 * (rows == 1 ? 1 : 8) * inner * sizeof(float) / 32 : 0;
        Assert.InRange(LastLaunch.GlobalLoads.Excess, 0, most);
#endif
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
