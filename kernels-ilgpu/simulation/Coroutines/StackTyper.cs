using System.Globalization;
using System.Reflection;
using System.Reflection.Emit;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>Follows a method's body from top to bottom to know what is on the evaluation stack before each instruction.</summary>
internal sealed class StackTyper
{
    private readonly Type[] _arguments;
    private readonly Type[] _locals;
    private readonly Dictionary<int, StackEntry[]> _atTargets = [];
    private List<StackEntry> _stack = [];

    private StackTyper(Type[] arguments, Type[] locals) => (_arguments, _locals) = (arguments, locals);

    /// <summary>The stack before every instruction.</summary>
    /// <param name="instructions">The body.</param>
    /// <param name="arguments">Types of the arguments.</param>
    /// <param name="locals">Types of the local variables.</param>
    /// <exception cref="UnfollowableException">The body does something unusual.</exception>
    public static StackEntry[][] Run(List<Instruction> instructions, Type[] arguments, Type[] locals)
    {
        StackTyper typer = new(arguments, locals);
        StackEntry[][] stacks = new StackEntry[instructions.Count][];
        bool isReached = true;
        for (int i = 0; i < instructions.Count; i++)
        {
            Instruction instruction = instructions[i];
            if (typer._atTargets.TryGetValue(instruction.Offset, out StackEntry[]? known))
            {
                typer._stack = isReached ? Merge(typer._stack, known) : [.. known];
            }
            else if (!isReached)
            {
                typer._stack = [];
            }

            stacks[i] = [.. typer._stack];
            typer.Apply(instruction);
            foreach (int target in instruction.Targets)
            {
                typer._atTargets[target] = typer._atTargets.TryGetValue(target, out StackEntry[]? before) ? [.. Merge(typer._stack, before)] : [.. typer._stack];
            }

            isReached = !instruction.EndsBlock;
        }

        return stacks;
    }

    private static List<StackEntry> Merge(List<StackEntry> stack, StackEntry[] other)
    {
        if (stack.Count != other.Length)
        {
            throw new UnfollowableException("Its branches meet with different stacks.");
        }

        return [.. stack.Zip(other, (a, b) => a.Constant is not null && a.Constant.Equals(b.Constant) ? a : new StackEntry(a.Type))];
    }

    private void Apply(in Instruction instruction)
    {
        OpCode code = instruction.Code;
        string name = code.Name!;
        if (instruction.Operand is MethodBase method && code.FlowControl == FlowControl.Call)
        {
            bool isNew = code == OpCodes.Newobj;
            Pop(StackEntry.Parameters(method).Length - (isNew ? 1 : 0));
            Type result = isNew ? method.DeclaringType! : (method as MethodInfo)?.ReturnType ?? typeof(void);
            if (result != typeof(void))
            {
                Push(StackEntry.Of(result));
            }
        }
        else if (code == OpCodes.Dup)
        {
            Push(_stack[^1]);
        }
        else if (code == OpCodes.Ret)
        {
            _stack.Clear();
        }
        else
        {
            StackEntry? pushed = Pushed(instruction, name);
            Pop(PopCount(code));
            if (pushed is { } entry)
            {
                Push(entry);
            }
        }
    }

    /// <summary>What an instruction other than a call leaves; null for nothing. What it takes is still on the stack.</summary>
    private StackEntry? Pushed(in Instruction instruction, string name)
    {
        if (instruction.Code.StackBehaviourPush == StackBehaviour.Push0)
        {
            return null;
        }

        if (name.StartsWith("ldarga", StringComparison.Ordinal) || name.StartsWith("ldloca", StringComparison.Ordinal))
        {
            return new(typeof(nint));
        }

        if (name.StartsWith("ldarg", StringComparison.Ordinal))
        {
            return StackEntry.Of(_arguments[Index(instruction)]);
        }

        if (name.StartsWith("ldloc", StringComparison.Ordinal))
        {
            return StackEntry.Of(_locals[Index(instruction)]);
        }

        if (name.StartsWith("ldc.i4", StringComparison.Ordinal))
        {
            return new(typeof(int), Constant(instruction));
        }

        return instruction.Operand switch
        {
            string text => new(typeof(string), text),
            FieldInfo field => name is "ldflda" or "ldsflda" ? new(typeof(nint)) : StackEntry.Of(field.FieldType),
            Type type => name is "sizeof" ? new(typeof(int)) : name is "ldobj" or "unbox.any" or "ldelem" ? StackEntry.Of(type) : new(typeof(nint)),
            _ => Computed(instruction.Code, name),
        };
    }

    private StackEntry Computed(OpCode code, string name) => code.StackBehaviourPush switch
    {
        // Of two operands the first decides: int or long with a count to shift by, nint with an int.
        StackBehaviour.Push1 => new(_stack[^PopCount(code)].Type == typeof(int) && PopCount(code) == 2 && _stack[^1].Type == typeof(nint) ? typeof(nint) : _stack[^PopCount(code)].Type),
        StackBehaviour.Pushi => new(IsNative(name) ? typeof(nint) : typeof(int)),
        StackBehaviour.Pushi8 => new(typeof(long)),
        StackBehaviour.Pushr4 => new(typeof(float)),
        StackBehaviour.Pushr8 => new(typeof(double)),
        _ => new(typeof(object)),
    };

    private static bool IsNative(string name) =>
        name is "ldind.i" or "localloc" or "conv.i" or "conv.u" or "conv.ovf.i" or "conv.ovf.u" or "conv.ovf.i.un" or "conv.ovf.u.un";

    private static int PopCount(OpCode code) => code.StackBehaviourPop switch
    {
        StackBehaviour.Pop0 => 0,
        StackBehaviour.Pop1 or StackBehaviour.Popi or StackBehaviour.Popref => 1,
        StackBehaviour.Pop1_pop1 or StackBehaviour.Popi_pop1 or StackBehaviour.Popi_popi or StackBehaviour.Popi_popi8
            or StackBehaviour.Popi_popr4 or StackBehaviour.Popi_popr8 or StackBehaviour.Popref_pop1 or StackBehaviour.Popref_popi => 2,
        _ => 3,
    };

    /// <summary>The number of an argument or a local variable.</summary>
    public static int Index(in Instruction instruction) =>
        instruction.Operand is int index ? index : int.Parse(instruction.Code.Name![^1..], CultureInfo.InvariantCulture);

    private static int Constant(in Instruction instruction) => instruction.Operand switch
    {
        int value => value,
        sbyte value => value,
        _ when instruction.Code == OpCodes.Ldc_I4_M1 => -1,
        _ => int.Parse(instruction.Code.Name![^1..], CultureInfo.InvariantCulture),
    };

    private void Pop(int count) => _stack.RemoveRange(_stack.Count - count, count);

    private void Push(StackEntry entry) => _stack.Add(entry);
}
