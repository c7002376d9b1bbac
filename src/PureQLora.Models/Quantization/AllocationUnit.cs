namespace PureQLora.Models;

/// <summary>Layers that get the same settings, and what each choice costs.</summary>
/// <param name="Layers">Module names.</param>
/// <param name="Choices">At least one.</param>
public sealed record AllocationUnit(IReadOnlyList<string> Layers, IReadOnlyList<AllocationChoice> Choices);
