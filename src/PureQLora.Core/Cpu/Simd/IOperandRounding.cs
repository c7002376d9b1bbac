namespace PureQLora.Core;

/// <summary>Whether operands are rounded to bfloat16 before they are multiplied as floats; a type, so that it costs nothing where not.</summary>
internal interface IOperandRounding
{
    static abstract bool Rounds { get; }
}

/// <summary>Operands as they are.</summary>
internal readonly struct ExactOperands : IOperandRounding
{
    public static bool Rounds => false;
}

/// <summary>Operands rounded to bfloat16.</summary>
internal readonly struct RoundedOperands : IOperandRounding
{
    public static bool Rounds => true;
}
