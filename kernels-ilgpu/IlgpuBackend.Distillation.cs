using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IScaleGradientKernels, IKullbackLeiblerKernels
{
    /// <inheritdoc/>
    /// <exception cref="UserErrorException">Always: this backend keeps its own copy of a weight, which does not follow its scales.</exception>
    public void ScaleGradient(Tensor dy, Tensor x, QuantizedMatrix weight, Tensor dScales, Precision precision) => throw OnCpuOnly();

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">Always, as long as scales are trained on the CPU.</exception>
    public void KullbackLeiblerForwardBackward(Tensor logits, Tensor targets, long start, float normalizer, Tensor divergences) => throw OnCpuOnly();

    private static UserErrorException OnCpuOnly() => new("The device is a GPU, on which scales are not distilled yet; quantise with --device cpu, and train on the GPU afterwards.");
}
