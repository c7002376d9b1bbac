namespace PureQLora.Kernels;

/// <summary>A thread's share of 16 rows of a head's numbers: 64 registers, half of them for a head of 64.</summary>
/// <param name="Part0">Numbers 0 … 31.</param>
/// <param name="Part1">Numbers 32 … 63.</param>
/// <param name="Part2">Numbers 64 … 95.</param>
/// <param name="Part3">Numbers 96 … 127.</param>
public readonly record struct HeadAccumulators(RowAccumulators Part0, RowAccumulators Part1, RowAccumulators Part2, RowAccumulators Part3);
