namespace PureQLora.Kernels;

/// <summary>A thread's share of its warp's 64 × 32 sums: 64 registers.</summary>
/// <param name="Rows0">Rows 0 … 15.</param>
/// <param name="Rows1">Rows 16 … 31.</param>
/// <param name="Rows2">Rows 32 … 47.</param>
/// <param name="Rows3">Rows 48 … 63.</param>
public readonly record struct Accumulators(RowAccumulators Rows0, RowAccumulators Rows1, RowAccumulators Rows2, RowAccumulators Rows3);
