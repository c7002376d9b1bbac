namespace PureQLora.Core;

/// <summary>One product of a sum of products: left [m, depth] times right [depth, n].</summary>
internal struct GemmTerm
{
    public MatrixSource Left;
    public MatrixSource Right;

    /// <summary>True where a stored row of the left operand runs along the inner dimension.</summary>
    public bool LeftIsInner;

    /// <summary>True where a stored row of the right operand runs along the inner dimension.</summary>
    public bool RightIsInner;

    /// <summary>Inner extent.</summary>
    public long Depth;

    /// <summary>The same term of the transposed product.</summary>
    public readonly GemmTerm Turned() => new()
    {
        Left = Right,
        Right = Left,
        LeftIsInner = RightIsInner,
        RightIsInner = LeftIsInner,
        Depth = Depth,
    };
}
