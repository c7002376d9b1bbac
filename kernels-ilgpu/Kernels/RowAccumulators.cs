namespace PureQLora.Kernels;

/// <summary>A thread's share of 16 rows and 32 columns of a result, eight columns each.</summary>
/// <param name="Columns0">Columns 0 … 7.</param>
/// <param name="Columns1">Columns 8 … 15.</param>
/// <param name="Columns2">Columns 16 … 23.</param>
/// <param name="Columns3">Columns 24 … 31.</param>
public readonly record struct RowAccumulators(Float4 Columns0, Float4 Columns1, Float4 Columns2, Float4 Columns3);
