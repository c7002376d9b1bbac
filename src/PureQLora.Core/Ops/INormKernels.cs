namespace PureQLora.Core;

/// <summary>What a backend must provide to measure gradients.</summary>
public interface INormKernels
{
    /// <summary>Σ x², squared and summed in float64 in fixed pieces; not finite as soon as one element is not.</summary>
    double SumOfSquares(Tensor x);
}
