namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Bits of the vectors that width-generic kernels use: 32 (one float), 128, 256 or 512.</summary>
    public int VectorBits => _tier switch { CpuTier.Scalar => 32, CpuTier.Vector128 => 128, CpuTier.Avx2 => 256, _ => 512 };
}
