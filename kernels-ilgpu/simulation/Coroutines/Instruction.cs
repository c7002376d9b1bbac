using System.Reflection.Emit;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>An instruction of the common intermediate language.</summary>
/// <param name="Offset">Its place in the method.</param>
/// <param name="Code">What it does.</param>
/// <param name="Operand">A number, an offset or offsets to branch to, or what a token stands for.</param>
internal readonly record struct Instruction(int Offset, OpCode Code, object? Operand)
{
    /// <summary>Where it may go on besides the next instruction.</summary>
    public int[] Targets => Code.OperandType switch
    {
        OperandType.InlineBrTarget or OperandType.ShortInlineBrTarget => [(int)Operand!],
        OperandType.InlineSwitch => (int[])Operand!,
        _ => [],
    };

    /// <summary>Whether the next instruction is not reached from here.</summary>
    public bool EndsBlock => Code.FlowControl is FlowControl.Branch or FlowControl.Return or FlowControl.Throw;
}
