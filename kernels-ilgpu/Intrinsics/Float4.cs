namespace PureQLora.Kernels;

/// <summary>Four floats in a row: one 128-bit access, or the accumulators that a thread holds of a 16 × 8 tile.</summary>
/// <param name="X">First.</param>
/// <param name="Y">Second.</param>
/// <param name="Z">Third.</param>
/// <param name="W">Fourth.</param>
public record struct Float4(float X, float Y, float Z, float W);
