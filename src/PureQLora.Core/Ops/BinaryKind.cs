namespace PureQLora.Core;

/// <summary>Element-wise functions of two tensors.</summary>
public enum BinaryKind
{
    /// <summary>a + b</summary>
    Add,

    /// <summary>a − b</summary>
    Subtract,

    /// <summary>a · b</summary>
    Multiply,

    /// <summary>a / b</summary>
    Divide,
}
