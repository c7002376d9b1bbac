namespace PureQLora.Training;

/// <summary>One problem, what the model wrote, and the verdict.</summary>
/// <param name="Question">The problem.</param>
/// <param name="Reference">The reference solution, which the model never sees.</param>
/// <param name="Generated">What the model wrote.</param>
/// <param name="Extracted">The answer that the rule took from it.</param>
/// <param name="Correct">Whether it equals the reference.</param>
public sealed record EvaluationSample(string Question, string Reference, string Generated, string? Extracted, bool Correct);
