namespace PureQLora.Core;

/// <summary>Element-wise functions of one tensor.</summary>
public enum UnaryKind
{
    /// <summary>eˣ</summary>
    Exp,

    /// <summary>ln x</summary>
    Log,

    /// <summary>√x</summary>
    Sqrt,

    /// <summary>tanh x</summary>
    Tanh,

    /// <summary>1 / (1 + e⁻ˣ)</summary>
    Sigmoid,

    /// <summary>x · sigmoid(x)</summary>
    Silu,

    /// <summary>x · Φ(x), with the error function.</summary>
    Gelu,

    /// <summary>x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))</summary>
    GeluTanh,

    /// <summary>−x</summary>
    Negate,

    /// <summary>x²</summary>
    Square,

    /// <summary>|x|, with derivative 0 at 0.</summary>
    Abs,

    /// <summary>max(x, 0), with derivative 0 at 0.</summary>
    Relu,
}
