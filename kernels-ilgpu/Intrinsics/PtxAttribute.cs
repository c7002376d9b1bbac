namespace PureQLora.Kernels;

/// <summary>
/// The instruction that a method becomes on a GPU; its C# body is what the other devices run. <c>$0</c>, <c>$1</c> … are the registers of the
/// arguments, <c>$r0</c>, <c>$r1</c> … those of the result; the fields of a struct count one by one. <c>$i0</c> at the end is the
/// first argument as a constant. ILGPU wants its own <c>IntrinsicImplementation</c> beside this. An address arrives as a register in the
/// state space of what it points into.
/// </summary>
/// <param name="instruction">In the syntax of the PTX ISA, without the semicolon.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PtxAttribute(string instruction) : Attribute
{
    /// <summary>The instruction with placeholders for registers.</summary>
    public string Instruction { get; } = instruction;
}
