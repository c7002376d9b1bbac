namespace PureQLora.Kernels;

/// <summary>Four 32-bit words in a row: one 128-bit access, or eight bfloat16 numbers, or what ldmatrix gives a thread of four 8 × 8 matrices.</summary>
/// <param name="X">First.</param>
/// <param name="Y">Second.</param>
/// <param name="Z">Third.</param>
/// <param name="W">Fourth.</param>
public record struct Word4(uint X, uint Y, uint Z, uint W);
