using ILGPU;

namespace PureQLora.Kernels;

/// <summary>The adapter's share of a product: low · factor (or its transpose), added to the same sums.</summary>
/// <param name="Low">[rows, LowPitch] in chunks.</param>
/// <param name="LowPitch">Chunks of a row.</param>
/// <param name="Factor">[columns of the product, FactorPitch], or [rank, FactorPitch] for the input gradient, in chunks.</param>
/// <param name="FactorPitch">Chunks of a row.</param>
/// <param name="FactorRows">Rows of the factor.</param>
/// <param name="Steps">Steps of 32 along the rank; 0 where there is no adapter and the views are stand-ins.</param>
public readonly record struct LowRankTerm(
    ArrayView<Word4> Low, int LowPitch, ArrayView<Word4> Factor, int FactorPitch, int FactorRows, int Steps);
