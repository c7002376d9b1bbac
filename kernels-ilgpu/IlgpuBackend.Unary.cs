using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IUnaryKernels
{
    /// <inheritdoc/>
    public void UnaryForward(UnaryKind kind, Tensor x, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        int count = Count(x);
        _device.Launch(
            UnaryKernels.Forward,
            LaunchShape.For(count, UnaryKernels.Forward.GroupSize),
            new UnaryKernels.ForwardArguments((int)kind, Floats(x), count, Floats(y)));
    }

    /// <inheritdoc/>
    public void UnaryBackward(UnaryKind kind, Tensor dy, Tensor x, Tensor y, Tensor dx)
    {
        ArgumentNullException.ThrowIfNull(x);
        int count = Count(x);
        _device.Launch(
            UnaryKernels.Backward,
            LaunchShape.For(count, UnaryKernels.Backward.GroupSize),
            new UnaryKernels.BackwardArguments((int)kind, Floats(dy), Floats(x), Floats(y), count, Floats(dx)));
    }
}
