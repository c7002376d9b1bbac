namespace PureQLora.Models;

/// <summary>What the start of one layer's adapter makes up for.</summary>
/// <param name="Layer">Module name.</param>
/// <param name="Before">‖W − Q‖² in the norm that is minimised: Frobenius for LoftQ, tr((W−Q) H (W−Q)ᵀ) for the error's start.</param>
/// <param name="After">The same of W − Q − s·B·A; never above <paramref name="Before"/>.</param>
public sealed record AdapterStartResult(string Layer, double Before, double After);
