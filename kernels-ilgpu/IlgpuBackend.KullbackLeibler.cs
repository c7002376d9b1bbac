using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IKullbackLeiblerKernels
{
    /// <inheritdoc/>
    public void KullbackLeiblerForwardBackward(Tensor logits, Tensor targets, long start, float normalizer, Tensor divergences)
    {
        ArgumentNullException.ThrowIfNull(logits);
        ArgumentNullException.ThrowIfNull(targets);
        ArgumentNullException.ThrowIfNull(divergences);
        if (Count(logits) > 0)
        {
            _device.Launch(
                KullbackLeiblerKernels.ForwardBackward,
                new LaunchShape((int)logits.Shape.Rows),
                new KullbackLeiblerKernels.Arguments(
                    Floats(logits), Floats(targets), (int)logits.Shape.Columns, (int)start, 1f / normalizer, Floats(divergences)));
        }
    }
}
