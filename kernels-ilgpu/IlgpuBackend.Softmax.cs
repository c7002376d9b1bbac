using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : ISoftmaxKernels
{
    /// <inheritdoc/>
    public void SoftmaxForward(Tensor x, Tensor y) => LaunchRows(SoftmaxKernels.Forward, x, y);

    /// <inheritdoc/>
    public void SoftmaxBackward(Tensor dy, Tensor y, Tensor dx) => LaunchRows(SoftmaxKernels.Backward, dy, y, dx);

    /// <inheritdoc/>
    public void LogSoftmaxForward(Tensor x, Tensor y) => LaunchRows(SoftmaxKernels.LogForward, x, y);

    /// <inheritdoc/>
    public void LogSoftmaxBackward(Tensor dy, Tensor y, Tensor dx) => LaunchRows(SoftmaxKernels.LogBackward, dy, y, dx);

    private void LaunchRows(Kernel<SoftmaxKernels.ForwardArguments> kernel, Tensor x, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        if (Count(x) > 0)
        {
            _device.Launch(kernel, new LaunchShape((int)x.Shape.Rows), new SoftmaxKernels.ForwardArguments(Floats(x), (int)x.Shape.Columns, Floats(y)));
        }
    }

    private void LaunchRows(Kernel<SoftmaxKernels.BackwardArguments> kernel, Tensor dy, Tensor y, Tensor dx)
    {
        ArgumentNullException.ThrowIfNull(y);
        if (Count(y) > 0)
        {
            _device.Launch(
                kernel, new LaunchShape((int)y.Shape.Rows), new SoftmaxKernels.BackwardArguments(Floats(dy), Floats(y), (int)y.Shape.Columns, Floats(dx)));
        }
    }
}
