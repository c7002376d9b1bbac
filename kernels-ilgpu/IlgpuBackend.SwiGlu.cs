using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : ISwiGluKernels
{
    /// <inheritdoc/>
    public void SwiGluForward(Tensor gate, Tensor up, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(gate);
        int count = Count(gate);
        _device.Launch(
            SwiGluKernels.Forward,
            LaunchShape.For(count, SwiGluKernels.Forward.GroupSize),
            new SwiGluKernels.ForwardArguments(Floats(gate), Floats(up), count, Floats(y)));
    }

    /// <inheritdoc/>
    public void SwiGluBackward(Tensor dy, Tensor gate, Tensor up, GradientTarget dGate, GradientTarget dUp)
    {
        ArgumentNullException.ThrowIfNull(gate);
        int count = Count(gate);
        ArrayView<float> gates = Floats(gate);
        (int gateMode, ArrayView<float> gateView) = Target(dGate, gates);
        (int upMode, ArrayView<float> upView) = Target(dUp, gates);
        _device.Launch(
            SwiGluKernels.Backward,
            LaunchShape.For(count, SwiGluKernels.Backward.GroupSize),
            new SwiGluKernels.BackwardArguments(Floats(dy), gates, Floats(up), count, gateMode, gateView, upMode, upView));
    }
}
