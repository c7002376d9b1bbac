namespace PureQLora.Kernels;

/// <summary>Sums of one row of x with two rows of a weight that are read together, so that a number of x is fetched once for both.</summary>
/// <param name="First">With the first.</param>
/// <param name="Second">With the second.</param>
public readonly record struct SumPair(float First, float Second);
