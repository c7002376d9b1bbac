namespace PureQLora.Core;

/// <summary>Products with a weight of a linear layer, dense or quantised; <see cref="QLoraLinear"/> and <see cref="CrossEntropy"/> need them.</summary>
public interface IWeightMatMulKernels
{
    /// <summary>y = x · Wᵀ (forward) or y = x · W (input gradient); or y += that where <paramref name="accumulate"/>.</summary>
    /// <param name="x">[…, inDim] if <paramref name="transposeWeight"/>, else […, outDim].</param>
    /// <param name="weight">[outDim, inDim]</param>
    /// <param name="transposeWeight">True for the forward product.</param>
    /// <param name="accumulate">Add to y instead of writing it.</param>
    /// <param name="y">[…, outDim] if <paramref name="transposeWeight"/>, else […, inDim]; Float32.</param>
    /// <param name="precision">Rounding of x and of the weight's values.</param>
    void WeightMatMul(Tensor x, WeightMatrix weight, bool transposeWeight, bool accumulate, Tensor y, Precision precision);
}
