namespace PureQLora.Core;

/// <summary>What a backend must provide for the AdamW optimiser.</summary>
public interface IAdamWKernels
{
    /// <summary>
    /// One update with decoupled weight decay, g = gradientScale · grad:
    /// m = β₁·m + (1 − β₁)·g; v = β₂·v + (1 − β₂)·g²;
    /// parameter = parameter · (1 − lr·weightDecay) − lr / (1 − β₁^step) · m / (√v / √(1 − β₂^step) + epsilon).
    /// </summary>
    /// <remarks>
    /// Loshchilov and Hutter, arXiv:1711.05101, algorithm 2, in the order of operations of torch.optim.AdamW: factors are computed in
    /// float64 and rounded once, element-wise work is float32.
    /// </remarks>
    /// <param name="parameter">Float32; changed.</param>
    /// <param name="grad">Float32, not changed.</param>
    /// <param name="m">First moment; changed.</param>
    /// <param name="v">Second moment; changed.</param>
    /// <param name="learningRate">lr.</param>
    /// <param name="beta1">β₁, in [0, 1).</param>
    /// <param name="beta2">β₂, in [0, 1).</param>
    /// <param name="epsilon">Keeps a vanishing second moment finite.</param>
    /// <param name="weightDecay">Decoupled: not part of the gradient.</param>
    /// <param name="step">1 at the first update.</param>
    /// <param name="gradientScale">Factor on every gradient, such as that of clipping.</param>
    /// <exception cref="ArgumentException">Element counts differ.</exception>
    void AdamWStep(
        Tensor parameter, Tensor grad, Tensor m, Tensor v, double learningRate, double beta1, double beta2, double epsilon, double weightDecay, long step, float gradientScale);
}
