namespace PureQLora.Training;

/// <summary>A state of the model in a run, such as <c>GPTQ int4 + LoRA</c>.</summary>
/// <param name="Name">Heading of its row.</param>
/// <param name="WeightBytes">Memory of all weights, adapters included.</param>
/// <param name="Results">One a problem set, in the order of the sets; empty where nothing is measured.</param>
public sealed record RunStage(string Name, long WeightBytes, IReadOnlyList<EvaluationResult> Results);
