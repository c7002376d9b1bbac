namespace PureQLora.Core;

/// <summary>What a backend must provide to optimisers.</summary>
public interface IAdamWKernels
{
    /// <summary>
    /// One update: g = gradientScale · grad; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; parameter ← parameter · (1 − lr·decay) −
    /// lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε).
    /// </summary>
    /// <param name="parameter">Float32.</param>
    /// <param name="grad">Its gradient.</param>
    /// <param name="firstMoment">m.</param>
    /// <param name="secondMoment">v.</param>
    /// <param name="learningRate">lr.</param>
    /// <param name="beta1">β₁.</param>
    /// <param name="beta2">β₂.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="weightDecay">Decoupled decay.</param>
    /// <param name="step">t, from 1.</param>
    /// <param name="gradientScale">The clip factor.</param>
    void AdamWStep(
        Tensor parameter, Tensor grad, Tensor firstMoment, Tensor secondMoment,
        double learningRate, double beta1, double beta2, double epsilon, double weightDecay, int step, float gradientScale);

    /// <summary>Σ x² in float64; NaN and infinity propagate.</summary>
    double SumOfSquares(Tensor x);
}
