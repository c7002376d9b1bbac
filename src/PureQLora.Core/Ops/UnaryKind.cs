namespace PureQLora.Core;

/// <summary>Which function of one variable an element-wise kernel computes.</summary>
public enum UnaryKind
{
    /// <summary>e^x.</summary>
    Exp,

    /// <summary>ln x.</summary>
    Log,

    /// <summary>√x.</summary>
    Sqrt,

    /// <summary>tanh x.</summary>
    Tanh,

    /// <summary>σ(x) = 1 / (1 + e^−x).</summary>
    Sigmoid,

    /// <summary>x · σ(x).</summary>
    Silu,

    /// <summary>x · Φ(x), Φ the distribution function of the normal distribution.</summary>
    Gelu,

    /// <summary>x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))).</summary>
    GeluTanh,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>−x.</summary>
    Negate,

    /// <summary>x².</summary>
    Square,

    /// <summary>|x|.</summary>
    Abs,
}
