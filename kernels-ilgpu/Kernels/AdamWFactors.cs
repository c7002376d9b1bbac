namespace PureQLora.Kernels;

/// <summary>The factors of one AdamW update, computed in float64 on the host and rounded once.</summary>
/// <param name="Decay">1 − lr · weightDecay.</param>
/// <param name="FirstShare">1 − β₁.</param>
/// <param name="Beta2">β₂.</param>
/// <param name="SecondShare">1 − β₂.</param>
/// <param name="RootCorrection">√(1 − β₂^step).</param>
/// <param name="Epsilon">Keeps a vanishing second moment finite.</param>
/// <param name="Rate">lr / (1 − β₁^step).</param>
/// <param name="GradientScale">Factor on every gradient.</param>
public readonly record struct AdamWFactors(
    float Decay, float FirstShare, float Beta2, float SecondShare, float RootCorrection, float Epsilon, float Rate, float GradientScale)
{
    /// <summary>Rounds the factors of one step.</summary>
    public static AdamWFactors Of(
        double learningRate, double beta1, double beta2, double epsilon, double weightDecay, long step, float gradientScale) => new(
            Decay: (float)(1.0 - (learningRate * weightDecay)),
            FirstShare: (float)(1.0 - beta1),
            Beta2: (float)beta2,
            SecondShare: (float)(1.0 - beta2),
            RootCorrection: (float)Math.Sqrt(1.0 - Math.Pow(beta2, step)),
            Epsilon: (float)epsilon,
            Rate: (float)(learningRate / (1.0 - Math.Pow(beta1, step))),
            GradientScale: gradientScale);
}
