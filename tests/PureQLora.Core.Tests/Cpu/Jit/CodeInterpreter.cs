using Iced.Intel;

namespace PureQLora.Core.Tests;

/// <summary>
/// Executes the machine code of our kernel generators without a processor that has the instructions, checks every access to memory, and
/// after every run what the calling convention promises. An instruction that it does not know is a failure.
/// </summary>
/// <remarks>Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.</remarks>
internal sealed unsafe partial class CodeInterpreter : IDisposable
{
    private const long MostInstructions = 50_000_000;
    private const int StackBytes = 4096;
    private const ulong ReturnAddress = 0x5EED_0000_0000_0000;

    private static readonly Register[] SystemVSaved = [Register.RBX, Register.RBP, Register.R12, Register.R13, Register.R14, Register.R15];
    private static readonly Register[] WindowsSaved = [.. SystemVSaved, Register.RDI, Register.RSI];

    private readonly bool _windows;
    private readonly Random _random = new(1);
    private readonly ulong[] _general = new ulong[16];
    private readonly byte* _stack = (byte*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc(StackBytes, 64);
    private bool _zero;
    private bool _carry;

    /// <summary>A processor whose registers hold noise.</summary>
    /// <param name="windows">Microsoft's calling convention instead of System V's.</param>
    public CodeInterpreter(bool windows = false) => _windows = windows;

    /// <summary>What the code may touch besides its stack.</summary>
    public InterpretedMemory Memory { get; } = new();

    /// <summary>Instructions executed so far.</summary>
    public long Executed { get; private set; }

    /// <summary>Calls a kernel with its argument.</summary>
    /// <exception cref="InvalidOperationException">An unknown instruction, a forbidden access, a promise that was not kept.</exception>
    public void Run(byte[] code, void* argument)
    {
        Dictionary<ulong, Instruction> instructions = Decode(code);
        FillRegisters(argument);
        ulong[] before = [.. _general];
        byte[] vectorsBefore = _vectors.ToArray();
        ulong at = 0;
        for (long limit = Executed + MostInstructions; at != ReturnAddress; Executed++)
        {
            Check(Executed < limit, "The code does not end.");
            Check(instructions.TryGetValue(at, out Instruction instruction), $"The code jumps to {at:x}, where no instruction begins.");
            at = Execute(instruction);
        }

        CheckPromises(before, vectorsBefore);
    }

    public void Dispose() => System.Runtime.InteropServices.NativeMemory.AlignedFree(_stack);

    private static void Check(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new InvalidOperationException(otherwise);
        }
    }

    private static Dictionary<ulong, Instruction> Decode(byte[] code)
    {
        Dictionary<ulong, Instruction> instructions = [];
        Decoder decoder = Decoder.Create(64, new ByteArrayCodeReader(code), 0);
        while (decoder.IP < (ulong)code.Length)
        {
            Instruction instruction = decoder.Decode();
            Check(!instruction.IsInvalid, $"No instruction at {instruction.IP:x}.");
            instructions.Add(instruction.IP, instruction);
        }

        return instructions;
    }

    private void FillRegisters(void* argument)
    {
        for (int i = 0; i < _general.Length; i++)
        {
            _general[i] = (ulong)_random.NextInt64();
        }

        _random.NextBytes(_vectors);
        ulong* top = (ulong*)(_stack + StackBytes - 64) - 1;
        *top = ReturnAddress;
        Reg(Register.RSP) = (ulong)top;
        Reg(_windows ? Register.RCX : Register.RDI) = (ulong)argument;
    }

    private void CheckPromises(ulong[] before, byte[] vectorsBefore)
    {
        Check(Reg(Register.RSP) == before[Register.RSP - Register.RAX] + 8, "The stack is not as it was.");
        foreach (Register register in _windows ? WindowsSaved : SystemVSaved)
        {
            Check(Reg(register) == before[register - Register.RAX], $"{register} is not as it was.");
        }

        for (int i = 6; _windows && i < 16; i++)
        {
            ReadOnlySpan<byte> expected = vectorsBefore.AsSpan(i * VectorBytes, 16);
            Check(_vectors.AsSpan(i * VectorBytes, 16).SequenceEqual(expected), $"xmm{i} is not as it was.");
        }
    }

    private ref ulong Reg(Register register) => ref _general[register.GetFullRegister() - Register.RAX];

    /// <summary>Executes one instruction and gives the address of the next.</summary>
    private ulong Execute(in Instruction instruction)
    {
        Check(!instruction.HasOpMask, $"'{instruction}' has a mask, which is unknown here.");
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Ret:
                return Pop(instruction);
            case Mnemonic.Je or Mnemonic.Jne or Mnemonic.Jae or Mnemonic.Jb or Mnemonic.Ja or Mnemonic.Jbe or Mnemonic.Jmp:
                return Taken(instruction.Mnemonic) ? instruction.NearBranchTarget : instruction.NextIP;
            case Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2 or Mnemonic.Prefetchnta or Mnemonic.Prefetchw or Mnemonic.Nop:
                break;      // no access: a wrong address is no fault
            case Mnemonic.Push:
                Reg(Register.RSP) -= 8;
                Store(instruction, Reg(Register.RSP), Reg(instruction.Op0Register), 8);
                break;
            case Mnemonic.Pop:
                Reg(instruction.Op0Register) = Pop(instruction);
                break;
            default:
                Check(
                    TryGeneral(instruction) || TryVector(instruction) || TryTile(instruction),
                    $"The instruction '{instruction}' is unknown here.");
                break;
        }

        return instruction.NextIP;
    }

    private bool Taken(Mnemonic jump) => jump switch
    {
        Mnemonic.Je => _zero,
        Mnemonic.Jne => !_zero,
        Mnemonic.Jb => _carry,
        Mnemonic.Jae => !_carry,
        Mnemonic.Jbe => _carry || _zero,
        Mnemonic.Ja => !_carry && !_zero,
        _ => true,
    };

    private bool TryGeneral(in Instruction instruction)
    {
        if (instruction.Mnemonic == Mnemonic.Lea)
        {
            Write(instruction, 0, Address(instruction));
            return true;
        }

        if (instruction.Mnemonic is not (Mnemonic.Mov or Mnemonic.Add or Mnemonic.Sub or Mnemonic.Cmp or Mnemonic.And or Mnemonic.Or
            or Mnemonic.Xor or Mnemonic.Test or Mnemonic.Shr or Mnemonic.Shl or Mnemonic.Inc or Mnemonic.Dec))
        {
            return false;
        }

        ulong left = instruction.Mnemonic == Mnemonic.Mov ? 0 : Read(instruction, 0);
        ulong right = instruction.OpCount == 2 ? Read(instruction, 1) : 1;
        ulong mask = OperandBytes(instruction, 0) == 8 ? ulong.MaxValue : uint.MaxValue;
        Check(instruction.Mnemonic is not (Mnemonic.Shr or Mnemonic.Shl) || right is > 0 and < 32, $"'{instruction}' shifts by {right}.");
        (ulong result, bool carry) = instruction.Mnemonic switch
        {
            Mnemonic.Mov => (right, _carry),
            Mnemonic.Add => (left + right, ((left + right) & mask) < (left & mask)),
            Mnemonic.Sub or Mnemonic.Cmp => (left - right, left < right),
            Mnemonic.And or Mnemonic.Test => (left & right, false),
            Mnemonic.Or => (left | right, false),
            Mnemonic.Xor => (left ^ right, false),
            Mnemonic.Inc => (left + 1, _carry),
            Mnemonic.Dec => (left - 1, _carry),
            Mnemonic.Shr => (left >> (int)right, ((left >> ((int)right - 1)) & 1) != 0),
            _ => (left << (int)right, ((left << ((int)right - 1)) & (mask ^ (mask >> 1))) != 0),
        };
        if (instruction.Mnemonic != Mnemonic.Mov)
        {
            (_zero, _carry) = ((result & mask) == 0, carry);
        }

        if (instruction.Mnemonic is not (Mnemonic.Cmp or Mnemonic.Test))
        {
            Write(instruction, 0, result & mask);
        }

        return true;
    }

    private static int OperandBytes(in Instruction instruction, int operand) => instruction.GetOpKind(operand) switch
    {
        OpKind.Register => instruction.GetOpRegister(operand).GetSize(),
        OpKind.Memory => instruction.MemorySize.GetSize(),
        _ => 8,
    };

    private ulong Read(in Instruction instruction, int operand)
    {
        int bytes = OperandBytes(instruction, operand);
        Check(bytes is 4 or 8, $"'{instruction}' has an operand of {bytes} bytes, which is unknown here.");
        switch (instruction.GetOpKind(operand))
        {
            case OpKind.Register:
                ulong value = Reg(instruction.GetOpRegister(operand));
                return bytes == 8 ? value : (uint)value;
            case OpKind.Memory:
                byte* at = At(instruction, Address(instruction), bytes, write: false);
                return bytes == 8 ? *(ulong*)at : *(uint*)at;
            default:
                ulong immediate = instruction.GetImmediate(operand);
                return OperandBytes(instruction, 0) == 8 ? immediate : (uint)immediate;
        }
    }

    private void Write(in Instruction instruction, int operand, ulong value)
    {
        int bytes = OperandBytes(instruction, operand);
        Check(bytes is 4 or 8, $"'{instruction}' has an operand of {bytes} bytes, which is unknown here.");
        if (instruction.GetOpKind(operand) == OpKind.Register)
        {
            // 32-bit results clear the upper half.
            Reg(instruction.GetOpRegister(operand)) = bytes == 8 ? value : (uint)value;
            return;
        }

        Store(instruction, Address(instruction), value, bytes);
    }

    private void Store(in Instruction instruction, ulong address, ulong value, int bytes)
    {
        byte* at = At(instruction, address, bytes, write: true);
        if (bytes == 8)
        {
            *(ulong*)at = value;
        }
        else
        {
            *(uint*)at = (uint)value;
        }
    }

    private ulong Pop(in Instruction instruction)
    {
        ulong value = *(ulong*)At(instruction, Reg(Register.RSP), 8, write: false);
        Reg(Register.RSP) += 8;
        return value;
    }

    private ulong Address(in Instruction instruction, bool withIndex = true)
    {
        Check(!instruction.IsIPRelativeMemoryOperand && instruction.SegmentPrefix == Register.None, $"The address of '{instruction}' is unknown here.");
        ulong address = instruction.MemoryDisplacement64;
        if (instruction.MemoryBase != Register.None)
        {
            address += Reg(instruction.MemoryBase);
        }

        return withIndex ? address + Index(instruction) : address;
    }

    private ulong Index(in Instruction instruction) =>
        instruction.MemoryIndex == Register.None ? 0 : Reg(instruction.MemoryIndex) * (ulong)instruction.MemoryIndexScale;

    private byte* At(in Instruction instruction, ulong address, int bytes, bool write)
    {
        // Below the stack pointer nothing may be kept.
        bool onStack = address >= Reg(Register.RSP) && address + (ulong)bytes <= (ulong)(_stack + StackBytes);
        return onStack ? (byte*)address : Memory.At(address, bytes, write, instruction.ToString());
    }
}
