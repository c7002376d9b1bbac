namespace PureQLora.Core;

/// <summary>
/// The instructions that the CPU backend may use, each tier with all of those below it. A tier sums in an order of its own; within a
/// tier results depend on nothing else.
/// </summary>
/// <remarks>
/// Matrix products, dequantisation, attention and SwiGLU have code for every tier. What passes over memory once (norms, optimiser,
/// conversions, element-wise operations) is written with .NET's own portable vectors, <see cref="System.Numerics.Vector{T}"/> and
/// TensorPrimitives, at every tier: it computes each element alone and as wide as the memory delivers.
/// <c>DOTNET_EnableHWIntrinsic=0</c> takes those to scalar code as well.
/// </remarks>
public enum CpuTier
{
    /// <summary>One float at a time, on every processor: to find out whether vector code is at fault.</summary>
    Scalar,

    /// <summary>Vectors of four floats: SSE, Arm's AdvSimd, or in software.</summary>
    Vector128,

    /// <summary>Vectors of eight floats: AVX2 with FMA.</summary>
    Avx2,

    /// <summary>Vectors of sixteen floats: AVX-512 F, BW, DQ and VL, in plain C#.</summary>
    Avx512,

    /// <summary>AVX-512 with BF16 and VNNI, assembled at run time: products of bfloat16 and of 8-bit integers (AMD Zen 4 and later).</summary>
    Avx512BFloat16,

    /// <summary>AMX tiles, assembled at run time (Intel Sapphire Rapids and later).</summary>
    Amx,
}
