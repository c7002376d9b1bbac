namespace PureQLora.Kernels;

/// <summary>Four float64 sums of a row.</summary>
/// <param name="X">First.</param>
/// <param name="Y">Second.</param>
/// <param name="Z">Third.</param>
/// <param name="W">Fourth.</param>
public readonly record struct DoubleSums(double X, double Y, double Z, double W);
