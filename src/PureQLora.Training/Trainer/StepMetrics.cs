namespace PureQLora.Training;

/// <summary>What one optimiser step did.</summary>
/// <param name="Step">Counted from 1.</param>
/// <param name="Loss">Mean negative log-likelihood of the supervised tokens of the whole accumulated batch.</param>
/// <param name="GradNorm">Euclidean norm of all gradients before clipping.</param>
/// <param name="LearningRate">Rate of this step.</param>
/// <param name="SupervisedTokens">Predictions that the loss counted.</param>
/// <param name="Tokens">Tokens that went through the model.</param>
/// <param name="Seconds">Duration of the step.</param>
public readonly record struct StepMetrics(
    int Step, double Loss, double GradNorm, double LearningRate, long SupervisedTokens, long Tokens, double Seconds);
