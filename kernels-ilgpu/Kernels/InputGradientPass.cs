namespace PureQLora.Kernels;

/// <summary>dy · W: a step takes 128 inputs of 32 rows of the weight.</summary>
public readonly struct InputGradientPass : IProductPass
{
    /// <inheritdoc/>
    public static bool IsForward => false;
}
