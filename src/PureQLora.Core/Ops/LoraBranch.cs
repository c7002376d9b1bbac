namespace PureQLora.Core;

/// <summary>
/// A low-rank adapter beside a linear layer: scale · (pool(dropout(x)) · Aᵀ) · Bᵀ. Pool leaves x as it is, or with a
/// <see cref="GroupSize"/> replaces each group of neighbouring inputs by the mean of it, times the number of groups.
/// </summary>
/// <remarks>
/// Hu et al., arXiv:2106.09685, eq. 3. With groups: QA-LoRA (Xu et al., arXiv:2309.14717, section 3.3) in PEFT's scaling, so that
/// B · A adds one constant to all weights of a row's group.
/// </remarks>
/// <param name="A">[rank, inDim], or [rank, inDim / groupSize]; Float32.</param>
/// <param name="B">[outDim, rank], Float32.</param>
/// <param name="Scale">alpha / rank, or alpha / sqrt(rank) with rsLoRA.</param>
/// <param name="Dropout">Share of the inputs that is set to 0 while training, in [0, 1); the others grow by 1 / (1 − share).</param>
/// <param name="GroupSize">Inputs that share a column of A; 0 for none.</param>
public readonly record struct LoraBranch(Tensor A, Tensor B, float Scale, float Dropout, int GroupSize = 0)
{
    /// <summary>What the sum of a group is multiplied with: 1 / groupSize for the mean, times inDim / groupSize.</summary>
    /// <param name="inDim">Inputs of the layer.</param>
    /// <param name="groupSize">Of the adapter, above 0.</param>
    public static double PoolingFactor(long inDim, int groupSize) => (double)inDim / ((double)groupSize * groupSize);
}
