namespace PureQLora.Kernels.Tests;

/// <summary>What ptxas says about a kernel.</summary>
internal sealed record AssembledKernel(int Registers, int StackBytes, int SpilledBytes, int SharedBytes);
