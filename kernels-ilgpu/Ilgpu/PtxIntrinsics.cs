using System.Reflection;
using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;
using ILGPU.IR.Values;
using Register = ILGPU.Backends.RegisterAllocator<ILGPU.Backends.PTX.PTXRegisterKind>.Register;
using CompoundRegister = ILGPU.Backends.RegisterAllocator<ILGPU.Backends.PTX.PTXRegisterKind>.CompoundRegister;
using HardwareRegister = ILGPU.Backends.RegisterAllocator<ILGPU.Backends.PTX.PTXRegisterKind>.HardwareRegister;
using ConstantRegister = ILGPU.Backends.RegisterAllocator<ILGPU.Backends.PTX.PTXRegisterKind>.ConstantRegister;
using PrimitiveRegister = ILGPU.Backends.RegisterAllocator<ILGPU.Backends.PTX.PTXRegisterKind>.PrimitiveRegister;

namespace PureQLora.Kernels;

/// <summary>Teaches a context to emit the instructions of methods that carry a <see cref="PtxAttribute"/>.</summary>
/// <remarks>
/// ILGPU's own way to write PTX, CudaAsm, keeps operands that are passed by reference in local memory; a code generator of one's own gets
/// and returns registers.
/// </remarks>
public static class PtxIntrinsics
{
    /// <summary>Registers every such method of an assembly.</summary>
    /// <param name="context">Before anything is compiled.</param>
    /// <param name="assembly">Where the methods are.</param>
    public static void Register(Context context, Assembly assembly)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(assembly);
        MethodInfo generator = typeof(PtxIntrinsics).GetMethod(nameof(Generate))!;
        foreach (MethodInfo method in assembly.GetTypes().SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static)))
        {
            if (method.GetCustomAttribute<PtxAttribute>() is not null)
            {
                context.GetIntrinsicManager().RegisterMethod(method, new PTXIntrinsic(generator, IntrinsicImplementationMode.GenerateCode));
            }
        }
    }

    /// <summary>Writes the instruction of one call. ILGPU finds this method by its signature.</summary>
    /// <param name="backend">Not used.</param>
    /// <param name="codeGenerator">Where the instruction goes.</param>
    /// <param name="value">The call.</param>
    public static void Generate(PTXBackend backend, PTXCodeGenerator codeGenerator, Value value)
    {
        ArgumentNullException.ThrowIfNull(codeGenerator);
        MethodCall call = (MethodCall)value;
        string instruction = call.Target.Source.GetCustomAttribute<PtxAttribute>()!.Instruction;
        List<PrimitiveRegister> arguments = [];
        foreach (Value argument in call.Nodes)
        {
            Flatten(codeGenerator.Load(argument), arguments);
        }

        List<PrimitiveRegister> results = [];
        if (!call.Type.IsVoidType)
        {
            Flatten(codeGenerator.Allocate(call), results);
        }

        if (instruction.EndsWith("$i0", StringComparison.Ordinal))
        {
            int constant = arguments[0] is ConstantRegister register
                ? register.Value.Int32Value
                : throw new NotSupportedException($"The operand of {instruction} must be a constant where it is called.");
            codeGenerator.Command($"{instruction[..^3]}{constant}");
            return;
        }

        // Constants must be in registers before the instruction begins.
        HardwareRegister[] inputs = [.. arguments.Select(codeGenerator.EnsureHardwareRegister)];
        using PTXCodeGenerator.CommandEmitter command = codeGenerator.BeginCommand(string.Empty);
        command.AppendRawString(Substitute(instruction, inputs, [.. results.Cast<HardwareRegister>()]));
    }

    private static void Flatten(Register register, List<PrimitiveRegister> registers)
    {
        if (register is not CompoundRegister compound)
        {
            registers.Add((PrimitiveRegister)register);
            return;
        }

        foreach (Register child in compound.Children)
        {
            Flatten(child, registers);
        }
    }

    private static string Substitute(string instruction, HardwareRegister[] inputs, HardwareRegister[] outputs)
    {
        System.Text.StringBuilder text = new();
        for (int i = 0; i < instruction.Length; i++)
        {
            if (instruction[i] != '$')
            {
                text.Append(instruction[i]);
                continue;
            }

            bool isResult = instruction[i + 1] == 'r';
            int start = isResult ? i + 2 : i + 1;
            int end = start;
            while (end < instruction.Length && char.IsAsciiDigit(instruction[end]))
            {
                end++;
            }

            int index = int.Parse(instruction.AsSpan(start, end - start), System.Globalization.CultureInfo.InvariantCulture);
            text.Append('%').Append(PTXRegisterAllocator.GetStringRepresentation((isResult ? outputs : inputs)[index]));
            i = end - 1;
        }

        return text.ToString();
    }
}
