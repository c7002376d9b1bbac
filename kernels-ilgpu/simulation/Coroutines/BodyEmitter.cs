using System.Reflection;
using System.Reflection.Emit;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>Writes the body of a coroutine.</summary>
/// <param name="il">Where to.</param>
/// <param name="frame">The frame.</param>
/// <param name="mustWait">Says whether a method that meets other threads has to be called again.</param>
internal sealed class BodyEmitter(ILGenerator il, FrameLayout frame, MethodInfo mustWait)
{
    private static readonly Dictionary<string, OpCode> LongForms = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!)
        .Where(code => code.OperandType == OperandType.InlineBrTarget)
        .ToDictionary(code => code.Name!);

    private readonly Dictionary<Type, LocalBuilder> _temporaries = [];
    private readonly Dictionary<int, Label> _labels = [];

    /// <summary>Writes everything.</summary>
    public void Emit(List<Instruction> instructions, Dictionary<int, WaitPoint> points)
    {
        foreach (int target in instructions.SelectMany(instruction => instruction.Targets).Distinct())
        {
            _labels.Add(target, il.DefineLabel());
        }

        Label[] entries = [.. Enumerable.Range(0, points.Count + 1).Select(_ => il.DefineLabel())];
        Load(frame.State);
        il.Emit(OpCodes.Switch, entries);
        il.MarkLabel(entries[0]);
        ClearLocals();
        for (int i = 0; i < instructions.Count; i++)
        {
            Instruction instruction = instructions[i];
            if (_labels.TryGetValue(instruction.Offset, out Label label))
            {
                il.MarkLabel(label);
            }

            if (points.TryGetValue(i, out WaitPoint? point))
            {
                Wait(point, entries[point.State]);
            }
            else if (instruction.Code != OpCodes.Constrained || !points.ContainsKey(i + 1))
            {
                Copy(instruction);
            }
        }
    }

    private void Wait(WaitPoint point, Label entry)
    {
        // Into the frame, the last on the stack first: the arguments, then what is below them.
        int calleeFrame = point.Coroutine is null ? 0 : frame.Size;
        for (int i = point.Stack.Length - 1; i >= 0; i--)
        {
            (StackEntry stackEntry, Slot slot) = point.Stack[i];
            bool isArgument = i >= point.Stack.Length - point.ArgumentCount;
            if (isArgument && calleeFrame > 0)
            {
                Store(point.Coroutine!.Arguments[i - (point.Stack.Length - point.ArgumentCount)], calleeFrame);
            }
            else if (stackEntry.Constant is not null)
            {
                il.Emit(OpCodes.Pop);
            }
            else
            {
                Store(slot);
            }
        }

        if (point.Coroutine is { } coroutine)
        {
            SetState(0, calleeFrame);
            il.MarkLabel(entry);
            Address(calleeFrame);
            il.Emit(OpCodes.Call, coroutine.Method);
            Label ended = il.DefineLabel();
            il.Emit(OpCodes.Brtrue, ended);
            Leave(point.State);
            il.MarkLabel(ended);
            Restore(point.Below);
            if (coroutine.Result is { } result)
            {
                Load(result, calleeFrame);
            }

            return;
        }

        il.MarkLabel(entry);
        Restore(point.Arguments);
        il.Emit(OpCodes.Call, point.Method);
        LocalBuilder? value = point.Method.ReturnType == typeof(void) ? null : Temporary(point.Method.ReturnType);
        if (value is not null)
        {
            il.Emit(OpCodes.Stloc, value);
        }

        Label met = il.DefineLabel();
        il.Emit(OpCodes.Call, mustWait);
        il.Emit(OpCodes.Brfalse, met);
        Leave(point.State);
        il.MarkLabel(met);
        Restore(point.Below);
        if (value is not null)
        {
            il.Emit(OpCodes.Ldloc, value);
        }
    }

    private void Leave(int state)
    {
        SetState(state, 0);
        il.Emit(OpCodes.Ldc_I4_0);
        il.Emit(OpCodes.Ret);
    }

    private void Restore(ReadOnlySpan<(StackEntry Entry, Slot Slot)> values)
    {
        foreach ((StackEntry entry, Slot slot) in values)
        {
            switch (entry.Constant)
            {
                case int number:
                    il.Emit(OpCodes.Ldc_I4, number);
                    break;
                case string text:
                    il.Emit(OpCodes.Ldstr, text);
                    break;
                default:
                    Load(slot);
                    break;
            }
        }
    }

    private void Copy(in Instruction instruction)
    {
        OpCode code = instruction.Code;
        string name = code.Name!;
        if (name.StartsWith("ldarga", StringComparison.Ordinal))
        {
            Address(frame.Arguments[StackTyper.Index(instruction)].Offset);
        }
        else if (name.StartsWith("ldloca", StringComparison.Ordinal))
        {
            Address(frame.Locals[StackTyper.Index(instruction)].Offset);
        }
        else if (name.StartsWith("ldarg", StringComparison.Ordinal))
        {
            Load(frame.Arguments[StackTyper.Index(instruction)]);
        }
        else if (name.StartsWith("ldloc", StringComparison.Ordinal))
        {
            Load(frame.Locals[StackTyper.Index(instruction)]);
        }
        else if (name.StartsWith("starg", StringComparison.Ordinal))
        {
            Store(frame.Arguments[StackTyper.Index(instruction)]);
        }
        else if (name.StartsWith("stloc", StringComparison.Ordinal))
        {
            Store(frame.Locals[StackTyper.Index(instruction)]);
        }
        else if (code == OpCodes.Ret)
        {
            if (frame.Result is { } result)
            {
                Store(result);
            }

            il.Emit(OpCodes.Ldc_I4_1);
            il.Emit(OpCodes.Ret);
        }
        else if (code == OpCodes.Localloc)
        {
            throw new UnfollowableException("It takes memory from the stack.");
        }
        else
        {
            CopyAsItIs(instruction, name);
        }
    }

    private void CopyAsItIs(in Instruction instruction, string name)
    {
        OpCode code = instruction.Code;
        switch (instruction.Operand)
        {
            case null:
                il.Emit(code);
                break;
            case int target when code.OperandType is OperandType.InlineBrTarget or OperandType.ShortInlineBrTarget:
                il.Emit(LongForms[name.EndsWith(".s", StringComparison.Ordinal) ? name[..^2] : name], _labels[target]);
                break;
            case int[] targets:
                il.Emit(code, [.. targets.Select(target => _labels[target])]);
                break;
            case sbyte number:
                il.Emit(code, number);
                break;
            case byte number:
                il.Emit(code, number);
                break;
            case int number:
                il.Emit(code, number);
                break;
            case long number:
                il.Emit(code, number);
                break;
            case float number:
                il.Emit(code, number);
                break;
            case double number:
                il.Emit(code, number);
                break;
            case string text:
                il.Emit(code, text);
                break;
            case MethodInfo method:
                il.Emit(code, method);
                break;
            case ConstructorInfo constructor:
                il.Emit(code, constructor);
                break;
            case FieldInfo field:
                il.Emit(code, field);
                break;
            case Type type:
                il.Emit(code, type);
                break;
            default:
                throw new UnfollowableException($"It has the instruction {name}.");
        }
    }

    private void ClearLocals()
    {
        if (frame.LocalBytes > 0)
        {
            Address(frame.FirstLocal);
            il.Emit(OpCodes.Ldc_I4_0);
            il.Emit(OpCodes.Ldc_I4, frame.LocalBytes);
            il.Emit(OpCodes.Initblk);
        }
    }

    private void SetState(int state, int baseOffset)
    {
        Address(baseOffset + frame.State.Offset);
        il.Emit(OpCodes.Ldc_I4, state);
        il.Emit(OpCodes.Stind_I4);
    }

    private void Load(Slot slot, int baseOffset = 0)
    {
        Address(baseOffset + slot.Offset);
        il.Emit(OpCodes.Ldobj, slot.Type);
    }

    private void Store(Slot slot, int baseOffset = 0)
    {
        if (slot.Type == typeof(nint))
        {
            il.Emit(OpCodes.Conv_U);
        }

        LocalBuilder value = Temporary(slot.Type);
        il.Emit(OpCodes.Stloc, value);
        Address(baseOffset + slot.Offset);
        il.Emit(OpCodes.Ldloc, value);
        il.Emit(OpCodes.Stobj, slot.Type);
    }

    private void Address(int offset)
    {
        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Ldc_I4, offset);
        il.Emit(OpCodes.Add);
    }

    private LocalBuilder Temporary(Type type)
    {
        if (!_temporaries.TryGetValue(type, out LocalBuilder? local))
        {
            local = il.DeclareLocal(type);
            _temporaries.Add(type, local);
        }

        return local;
    }
}
