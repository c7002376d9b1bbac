namespace PureQLora.Core;

/// <summary>Gradient of a product with a quantised weight with respect to the weight's scales; <see cref="QLoraLinear"/> needs it.</summary>
public interface IScaleGradientKernels
{
    /// <summary>
    /// dScales(o, g) += Σ over columns j of group g of (Σ_t dy(t, o) · x(t, j)) · (code(o, j) − zero(o, g)): the gradient of y = x · Wᵀ with
    /// W = scale · (code − zero). The gradient of W itself exists for a strip of rows at a time, never as a whole.
    /// </summary>
    /// <remarks>Compare the second stage of EfficientQAT, Chen et al., arXiv:2407.11062, section 3.3.</remarks>
    /// <param name="dy">[tokens, outDim]</param>
    /// <param name="x">[tokens, inDim]</param>
    /// <param name="weight">[outDim, inDim]</param>
    /// <param name="dScales">[outDim, groups], Float32.</param>
    /// <param name="precision">Rounding of dy and x.</param>
    void ScaleGradient(Tensor dy, Tensor x, QuantizedMatrix weight, Tensor dScales, Precision precision);
}
