namespace PureQLora.Core;

/// <summary>
/// Where a kernel leaves ∂loss/∂x. The first share to arrive is written over memory that holds nothing yet, so that nobody has to
/// clear and read it again; later ones are added.
/// </summary>
/// <param name="Tensor">The gradient, or null where none is required.</param>
/// <param name="Accumulate">Add to what is there; otherwise write every element.</param>
public readonly record struct GradientTarget(Tensor? Tensor, bool Accumulate);
