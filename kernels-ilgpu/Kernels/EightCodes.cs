namespace PureQLora.Kernels;

/// <summary>Eight numbers of a row of a weight: two fours, side by side or apart.</summary>
/// <param name="Low">The first four.</param>
/// <param name="High">The last four.</param>
public readonly record struct EightCodes(Float4 Low, Float4 High);
