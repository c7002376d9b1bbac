namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Bits of the vectors that width-generic kernels use: 128, 256 or 512.</summary>
    private int VectorBits => 128 << (int)_level;
}
