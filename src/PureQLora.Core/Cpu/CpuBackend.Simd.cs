namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Bits of the vectors that width-generic kernels use: 128, 256 or 512.</summary>
    public int VectorBits => _tier switch { CpuTier.Vector128 => 128, CpuTier.Avx2 => 256, _ => 512 };
}
