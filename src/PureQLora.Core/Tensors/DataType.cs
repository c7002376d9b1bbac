namespace PureQLora.Core;

/// <summary>Element type of a <see cref="Tensor"/>.</summary>
public enum DataType
{
    /// <summary>IEEE 754 binary32: parameters, gradients, optimiser state, and activations by default.</summary>
    Float32,

    /// <summary>Upper half of a binary32: 8 exponent and 7 fraction bits. Frozen weights and stored activations.</summary>
    BFloat16,

    /// <summary>IEEE 754 binary16. Frozen weights only: half of the published checkpoints are stored so, and are mapped as they are.</summary>
    Float16,

    /// <summary>Signed 32-bit integers: token ids, labels, positions, segments.</summary>
    Int32,
}

/// <summary>Facts about a <see cref="DataType"/>.</summary>
public static class DataTypeExtensions
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this DataType type) => type is DataType.Float32 or DataType.Int32 ? 4 : 2;

    /// <summary>True for the types that hold real numbers.</summary>
    public static bool IsFloating(this DataType type) => type != DataType.Int32;
}
