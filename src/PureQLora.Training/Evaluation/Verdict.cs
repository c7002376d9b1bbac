namespace PureQLora.Training;

/// <summary>What a scoring rule found in one generated solution.</summary>
/// <param name="Extracted">The extracted answer; <see cref="AnswerScorer.Invalid"/> (null for <see cref="ScoringRule.MetaMath"/>) where the text has none.</param>
/// <param name="Correct">Whether it equals the reference; null where the rule cannot read the reference at all.</param>
public readonly record struct Verdict(string? Extracted, bool? Correct);
