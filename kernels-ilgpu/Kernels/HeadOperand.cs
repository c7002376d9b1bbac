namespace PureQLora.Kernels;

/// <summary>A thread's share of 16 rows of a head's numbers as the left operand of products: 32 registers, half of them for a head of 64.</summary>
/// <param name="Step0">Numbers 0 … 15.</param>
/// <param name="Step1">Numbers 16 … 31.</param>
/// <param name="Step2">Numbers 32 … 47.</param>
/// <param name="Step3">Numbers 48 … 63.</param>
/// <param name="Step4">Numbers 64 … 79.</param>
/// <param name="Step5">Numbers 80 … 95.</param>
/// <param name="Step6">Numbers 96 … 111.</param>
/// <param name="Step7">Numbers 112 … 127.</param>
public readonly record struct HeadOperand(Word4 Step0, Word4 Step1, Word4 Step2, Word4 Step3, Word4 Step4, Word4 Step5, Word4 Step6, Word4 Step7);
