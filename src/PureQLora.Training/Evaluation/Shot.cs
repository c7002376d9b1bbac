namespace PureQLora.Training;

/// <summary>A solved problem shown before the question.</summary>
/// <param name="Question">Its question.</param>
/// <param name="Target">Its answer as the prompt shows it.</param>
public sealed record Shot(string Question, string Target);
