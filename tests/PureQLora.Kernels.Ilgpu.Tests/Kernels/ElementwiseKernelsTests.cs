using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>Operations that take one element or one row at a time.</summary>
public sealed class ElementwiseKernelsTests : KernelTest
{
    [Fact]
    public void Unary_GivenEveryKind_ShouldMatchTheCpu()
    {
        Shape shape = new(37);
        foreach (UnaryKind kind in Enum.GetValues<UnaryKind>())
        {
            (Tensor x, Tensor dy, Tensor y, Tensor dx) = (Host(shape, 1), Host(shape, 2), Tensor.Create(shape), Host(shape, 3));
            foreach (ref float value in x.Floats)
            {
                value = kind is UnaryKind.Log or UnaryKind.Sqrt ? 0.01f + Math.Abs(value) : 8f * value;
            }

            Tensor gpuDx = Device(dx);
            Cpu.UnaryForward(kind, x, y);
            Cpu.UnaryBackward(kind, dy, x, y, dx);

            (Tensor gpuX, Tensor gpuY) = (Device(x), Unwritten(shape));
            Gpu.UnaryForward(kind, gpuX, gpuY);
            Gpu.UnaryBackward(kind, Device(dy), gpuX, gpuY, gpuDx);

            Close(y, gpuY);
            Close(dx, gpuDx, 2e-5);
        }
    }

    [Fact]
    public void Binary_GivenEveryKindAndRepeatedAxes_ShouldMatchTheCpu()
    {
        foreach ((Shape left, Shape right) in new (Shape, Shape)[] { (new(3, 5), new(3, 5)), (new(2, 3, 5), new(5)), (new(2, 1, 5), new(3, 1)) })
        {
            foreach (BinaryKind kind in Enum.GetValues<BinaryKind>())
            {
                (Tensor a, Tensor b) = (Host(left, 1), Host(right, 2));
                foreach (ref float value in b.Floats)
                {
                    value += 2f;
                }

                Shape shape = Binary.Broadcast(left, right);
                (Tensor y, Tensor dy, Tensor da, Tensor db) = (Tensor.Create(shape), Host(shape, 3), Host(left, 4), Host(right, 5));
                (Tensor gpuDa, Tensor gpuDb) = (Device(da), Device(db));
                Cpu.BinaryForward(kind, a, b, y);
                Cpu.BinaryBackward(kind, dy, a, b, da, db);

                (Tensor gpuA, Tensor gpuB, Tensor gpuY) = (Device(a), Device(b), Unwritten(shape));
                Gpu.BinaryForward(kind, gpuA, gpuB, gpuY);
                Gpu.BinaryBackward(kind, Device(dy), gpuA, gpuB, gpuDa, gpuDb);

                Close(y, gpuY);
                Close(da, gpuDa);
                Close(db, gpuDb);
            }
        }
    }

    [Fact]
    public void Softmax_GivenMaskedRows_ShouldMatchTheCpu()
    {
        Shape shape = new(4, 131);
        (Tensor x, Tensor dy) = (Host(shape, 1), Host(shape, 2));
        x.ViewRows(1, 1).Floats.Fill(float.NegativeInfinity);
        x.ViewRows(2, 1).Floats[3] = float.NegativeInfinity;
        x.ViewRows(3, 1).Floats[3] = float.NaN;
        foreach (bool log in new[] { false, true })
        {
            (Tensor y, Tensor dx) = (Tensor.Create(shape), Host(shape, 3));
            Tensor gpuDx = Device(dx.ViewRows(0, 3));
            (Tensor gpuX, Tensor gpuY) = (Device(x), Unwritten(shape));
            if (log)
            {
                Cpu.LogSoftmaxForward(x, y);
                Cpu.LogSoftmaxBackward(dy, y, dx);
                Gpu.LogSoftmaxForward(gpuX, gpuY);
                Gpu.LogSoftmaxBackward(Device(dy.ViewRows(0, 3)), gpuY.ViewRows(0, 3), gpuDx);
            }
            else
            {
                Cpu.SoftmaxForward(x, y);
                Cpu.SoftmaxBackward(dy, y, dx);
                Gpu.SoftmaxForward(gpuX, gpuY);
                Gpu.SoftmaxBackward(Device(dy.ViewRows(0, 3)), gpuY.ViewRows(0, 3), gpuDx);
            }

            float[] actual = gpuY.ToArray();
            for (int i = 0; i < actual.Length; i++)
            {
                Assert.Equal(y.Floats[i], actual[i], 1e-5f);
            }

            Close(dx.ViewRows(0, 3), gpuDx);
        }
    }

    [Theory]
    [InlineData(0.1f)]
    [InlineData(0.5f)]
    public void Dropout_GivenAKey_ShouldKeepWhatTheCpuKeeps(float probability)
    {
        Shape shape = new(600);
        (Tensor x, Tensor y, Tensor dx) = (Host(shape, 1), Tensor.Create(shape), Host(shape, 2));
        (Tensor gpuDx, Tensor gpuX, Tensor gpuY) = (Device(dx), Device(x), Unwritten(shape));
        Cpu.DropoutForward(x, 0xFEDCBA9876543210, probability, y);
        Cpu.DropoutBackward(x, 0xFEDCBA9876543210, probability, dx);

        Gpu.DropoutForward(gpuX, 0xFEDCBA9876543210, probability, gpuY);
        Gpu.DropoutBackward(gpuX, 0xFEDCBA9876543210, probability, gpuDx);

        Close(y, gpuY, 1e-6);
        Close(dx, gpuDx, 1e-6);
    }

    [Fact]
    public void Memory_GivenFillZeroAddAndOverlappingMoves_ShouldDoAsTheCpu()
    {
        (Tensor x, Tensor y) = (Device(Host(new(40), 1)), Unwritten(new(40)));
        float[] expected = Host(new(40), 1).ToArray();

        Gpu.Fill(y, 2f);
        Gpu.AddScaled(x, 0.5f, y);
        Gpu.Affine(y, 2f, -1f, y);
        Gpu.Move(y.Storage, 0, y.Storage, 3 * sizeof(float), 30 * sizeof(float));
        Gpu.Zero(y.ViewRows(36, 4));

        float[] affine = Array.ConvertAll(expected, value => ((2f + (0.5f * value)) * 2f) - 1f);
        Array.Copy(affine, 0, affine, 3, 30);
        affine.AsSpan(36).Clear();
        Close(Array.ConvertAll(affine, value => (double)value), y, 1e-6);
    }
}
