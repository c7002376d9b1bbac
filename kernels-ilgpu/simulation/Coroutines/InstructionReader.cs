using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Emit;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>Takes a method's body apart.</summary>
internal static class InstructionReader
{
    private static readonly Dictionary<short, OpCode> Codes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => code.Value);

    /// <summary>The instructions of a method; generic parameters are replaced by the method's arguments for them.</summary>
    public static List<Instruction> Read(MethodBase method, byte[] body)
    {
        List<Instruction> instructions = [];
        Type[]? typeArguments = method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null;
        Type[]? methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        int position = 0;
        while (position < body.Length)
        {
            int offset = position;
            short value = body[position++];
            if (value == 0xFE)
            {
                value = unchecked((short)(0xFE00 | body[position++]));
            }

            OpCode code = Codes[value];
            ReadOnlySpan<byte> rest = body.AsSpan(position);
            int length = Length(code.OperandType, rest);
            int next = position + length;
            object? operand = code.OperandType switch
            {
                OperandType.InlineNone => null,
                OperandType.ShortInlineBrTarget => next + (sbyte)rest[0],
                OperandType.InlineBrTarget => next + BinaryPrimitives.ReadInt32LittleEndian(rest),
                OperandType.InlineSwitch => Targets(rest, next),
                OperandType.ShortInlineI => code == OpCodes.Ldc_I4_S ? (sbyte)rest[0] : (object)rest[0],
                OperandType.ShortInlineVar => (int)rest[0],
                OperandType.InlineVar => (int)BinaryPrimitives.ReadUInt16LittleEndian(rest),
                OperandType.InlineI => BinaryPrimitives.ReadInt32LittleEndian(rest),
                OperandType.InlineI8 => BinaryPrimitives.ReadInt64LittleEndian(rest),
                OperandType.ShortInlineR => BinaryPrimitives.ReadSingleLittleEndian(rest),
                OperandType.InlineR => BinaryPrimitives.ReadDoubleLittleEndian(rest),
                OperandType.InlineString => method.Module.ResolveString(BinaryPrimitives.ReadInt32LittleEndian(rest)),
                OperandType.InlineSig => throw new UnfollowableException("It calls through a pointer."),
                _ => method.Module.ResolveMember(BinaryPrimitives.ReadInt32LittleEndian(rest), typeArguments, methodArguments),
            };
            instructions.Add(new Instruction(offset, code, operand));
            position = next;
        }

        return instructions;
    }

    private static int Length(OperandType type, ReadOnlySpan<byte> rest) => type switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        OperandType.InlineSwitch => 4 + (4 * BinaryPrimitives.ReadInt32LittleEndian(rest)),
        _ => 4,
    };

    private static int[] Targets(ReadOnlySpan<byte> table, int next)
    {
        int[] targets = new int[BinaryPrimitives.ReadInt32LittleEndian(table)];
        for (int i = 0; i < targets.Length; i++)
        {
            targets[i] = next + BinaryPrimitives.ReadInt32LittleEndian(table[(4 + (4 * i))..]);
        }

        return targets;
    }
}
