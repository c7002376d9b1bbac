namespace PureQLora.Kernels;

/// <summary>What a thread has of each of up to eight rows of x.</summary>
/// <param name="Row0">Of row 0.</param>
/// <param name="Row1">Of row 1.</param>
/// <param name="Row2">Of row 2.</param>
/// <param name="Row3">Of row 3.</param>
/// <param name="Row4">Of row 4.</param>
/// <param name="Row5">Of row 5.</param>
/// <param name="Row6">Of row 6.</param>
/// <param name="Row7">Of row 7.</param>
public readonly record struct RowSums(SumPair Row0, SumPair Row1, SumPair Row2, SumPair Row3, SumPair Row4, SumPair Row5, SumPair Row6, SumPair Row7);
