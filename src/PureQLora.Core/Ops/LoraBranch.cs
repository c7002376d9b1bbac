namespace PureQLora.Core;

/// <summary>The low-rank branch of a linear layer: s · (dropout(x)·Aᵀ)·Bᵀ.</summary>
/// <param name="A">Down-projection, Float32 [rank, inDim].</param>
/// <param name="B">Up-projection, Float32 [outDim, rank].</param>
/// <param name="Scale">s, dimensionless.</param>
/// <param name="Dropout">Probability in [0, 1) that an element of x is dropped on its way into the branch, in training only.</param>
public readonly record struct LoraBranch(Tensor A, Tensor B, float Scale, float Dropout);
