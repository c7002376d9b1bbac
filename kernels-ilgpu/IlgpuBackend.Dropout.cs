using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IDropoutKernels
{
    /// <inheritdoc/>
    public void DropoutForward(Tensor x, ulong key, float probability, Tensor y) => Drop(x, key, probability, TargetMode.Write, y);

    /// <inheritdoc/>
    public void DropoutBackward(Tensor dy, ulong key, float probability, Tensor dx) => Drop(dy, key, probability, TargetMode.Add, dx);

    private void Drop(Tensor x, ulong key, float probability, int target, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        int count = Count(x);

        // Uniform is a multiple k of 2^−24, so that k · 2^−24 ≥ p is k ≥ ⌈p · 2^24⌉; the product is exact.
        ulong threshold = (ulong)Math.Ceiling(probability * (1 << 24));
        _device.Launch(
            DropoutKernels.Apply,
            LaunchShape.For(count, DropoutKernels.Apply.GroupSize),
            new DropoutKernels.Arguments(Floats(x), key, threshold, 1f / (1f - probability), count, target, Floats(y)));
    }
}
