using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

public sealed class SwiGluKernelsTests : KernelTest
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void SwiGlu_GivenGradientTargets_ShouldMatchTheCpu(bool addGate, bool addUp)
    {
        Shape shape = new(3, 101);      // more than one group, and a tail
        (Tensor gate, Tensor up, Tensor dy) = (Host(shape, 1), Host(shape, 2), Host(shape, 3));
        (gate.Floats[0], gate.Floats[1]) = (-90f, 90f);
        (Tensor y, Tensor dGate, Tensor dUp) = (Tensor.Create(shape), Host(shape, 4), Host(shape, 5));
        Tensor gpuDGate = addGate ? Device(dGate) : Unwritten(shape);
        Tensor gpuDUp = addUp ? Device(dUp) : Unwritten(shape);
        Cpu.SwiGluForward(gate, up, y);
        Cpu.SwiGluBackward(dy, gate, up, new(dGate, addGate), new(dUp, addUp));

        (Tensor gpuGate, Tensor gpuUp, Tensor gpuY) = (Device(gate), Device(up), Unwritten(shape));
        Gpu.SwiGluForward(gpuGate, gpuUp, gpuY);
        Gpu.SwiGluBackward(Device(dy), gpuGate, gpuUp, new(gpuDGate, addGate), new(gpuDUp, addUp));

        Close(y, gpuY);
        Close(dGate, gpuDGate);
        Close(dUp, gpuDUp);
    }

    [Fact]
    public void SwiGlu_GivenOnlyOneTarget_ShouldLeaveTheOther()
    {
        Shape shape = new(7);
        Tensor gate = Device(Host(shape, 1));
        Tensor dUp = Unwritten(shape);

        Gpu.SwiGluBackward(Device(Host(shape, 2)), gate, Device(Host(shape, 3)), default, new(dUp, Accumulate: false));

        Close(Host(shape, 1), gate);
        Assert.All(dUp.ToArray(), value => Assert.NotEqual(0f, value));
    }
}
