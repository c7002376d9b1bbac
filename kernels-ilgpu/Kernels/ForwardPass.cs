namespace PureQLora.Kernels;

/// <summary>x · Wᵀ: a step takes 32 inputs of 128 rows of the weight.</summary>
public readonly struct ForwardPass : IProductPass
{
    /// <inheritdoc/>
    public static bool IsForward => true;
}
