namespace PureQLora.Training;

/// <summary>A question with what the model wrote before and after the run.</summary>
/// <param name="Question">The question.</param>
/// <param name="Reference">The reference solution.</param>
/// <param name="Before">Text before the run, or null.</param>
/// <param name="BeforeCorrect">Whether it was right.</param>
/// <param name="After">Text after the run.</param>
/// <param name="AfterCorrect">Whether it is right.</param>
public sealed record ReportSample(string Question, string Reference, string? Before, bool BeforeCorrect, string After, bool AfterCorrect);
