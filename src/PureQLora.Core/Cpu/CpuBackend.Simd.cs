using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Width of the vectors that width-generic kernels use: 128, 256 or 512; tests force it.</summary>
    internal int VectorBits { get; init; } =
        Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;
}
