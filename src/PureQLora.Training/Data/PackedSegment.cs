namespace PureQLora.Training;

/// <summary>A run of tokens of one sample in a packed row.</summary>
/// <param name="Sample">Index of the sample.</param>
/// <param name="Start">First token taken.</param>
/// <param name="Count">Number of tokens.</param>
public readonly record struct PackedSegment(int Sample, int Start, int Count);
