namespace PureQLora.Core;

/// <summary>Widest vectors that the kernels of the CPU backend may use. Each level sums in an order of its own.</summary>
public enum SimdLevel
{
    /// <summary>Four floats; runs on every processor, in software if need be.</summary>
    Vector128,

    /// <summary>Eight floats: AVX2 with FMA.</summary>
    Vector256,

    /// <summary>Sixteen floats: AVX-512.</summary>
    Vector512,
}
