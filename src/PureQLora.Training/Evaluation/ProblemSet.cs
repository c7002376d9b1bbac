namespace PureQLora.Training;

/// <summary>Problems that are measured together.</summary>
/// <param name="Name">Heading of their column, such as <c>new family</c>.</param>
/// <param name="Problems">With reference solutions, which only the scorer sees.</param>
public sealed record ProblemSet(string Name, IReadOnlyList<GsmProblem> Problems);
