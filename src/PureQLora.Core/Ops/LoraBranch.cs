namespace PureQLora.Core;

/// <summary>A low-rank adapter beside a linear layer: scale · (dropout(x) · Aᵀ) · Bᵀ.</summary>
/// <remarks>Hu et al., arXiv:2106.09685, eq. 3.</remarks>
/// <param name="A">[rank, inDim], Float32.</param>
/// <param name="B">[outDim, rank], Float32.</param>
/// <param name="Scale">alpha / rank, or alpha / sqrt(rank) with rsLoRA.</param>
/// <param name="Dropout">Share of the inputs that is set to 0 while training, in [0, 1); the others grow by 1 / (1 − share).</param>
public readonly record struct LoraBranch(Tensor A, Tensor B, float Scale, float Dropout);
