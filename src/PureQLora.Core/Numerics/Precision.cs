namespace PureQLora.Core;

/// <summary>How operands of a matrix product are rounded; sums are float32 (of 8-bit integers: exact) in every case.</summary>
public enum Precision
{
    /// <summary>Operands as they are.</summary>
    Float32,

    /// <summary>Operands rounded to <see cref="BFloat16"/> first.</summary>
    BFloat16,

    /// <summary>
    /// Activations rounded to 8-bit integers, for products with quantised weights while decoding; never for training. Weights in bfloat16 are
    /// multiplied as <see cref="BFloat16"/> does where the processor has instructions for that.
    /// </summary>
    Int8,
}
