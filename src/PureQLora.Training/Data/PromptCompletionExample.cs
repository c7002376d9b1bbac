namespace PureQLora.Training;

/// <summary>A prompt and what the model shall learn to write behind it.</summary>
/// <param name="Location">File and line.</param>
/// <param name="Prompt">Not supervised.</param>
/// <param name="Completion">Supervised, with the end-of-sequence token behind it.</param>
public sealed record PromptCompletionExample(string Location, string Prompt, string Completion) : TrainingExample(Location);
