namespace PureQLora.Training;

/// <summary>One cell of the table of results.</summary>
/// <param name="Stage">Row: the state of the model, for example "GPTQ int4".</param>
/// <param name="Task">Column: what was asked, for example "unseen family".</param>
/// <param name="Accuracy">Exact match.</param>
public sealed record ReportScore(string Stage, string Task, Accuracy Accuracy);
