using Iced.Intel;

namespace PureQLora.Core.Tests;

internal sealed unsafe partial class CodeInterpreter
{
    private const int VectorBytes = 64;

    /// <summary>zmm0 … zmm31.</summary>
    private readonly byte[] _vectors = new byte[32 * VectorBytes];

    private bool TryVector(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Movups or Mnemonic.Movaps or Mnemonic.Vmovups or Mnemonic.Vmovaps or Mnemonic.Vmovdqu32 or Mnemonic.Vmovdqu64 or Mnemonic.Vmovdqu8:
                Move(instruction);
                return true;
            case Mnemonic.Vbroadcastss or Mnemonic.Vpbroadcastd:
                Broadcast(instruction);
                return true;
            case Mnemonic.Vzeroupper:
                for (int i = 0; i < 16; i++)
                {
                    _vectors.AsSpan((i * VectorBytes) + 16, VectorBytes - 16).Clear();
                }

                return true;
            case Mnemonic.Vpxord or Mnemonic.Vpxorq or Mnemonic.Vpxor or Mnemonic.Vxorps:
                return EachLane(instruction, static (_, a, b) => a ^ b);
            case Mnemonic.Vaddps:
                return EachLane(instruction, static (_, a, b) => Bits(Float(a) + Float(b)));
            case Mnemonic.Vsubps:
                return EachLane(instruction, static (_, a, b) => Bits(Float(a) - Float(b)));
            case Mnemonic.Vmulps:
                return EachLane(instruction, static (_, a, b) => Bits(Float(a) * Float(b)));
            case Mnemonic.Vfmadd132ps:
                return EachLane(instruction, static (d, a, b) => Bits(MathF.FusedMultiplyAdd(Float(d), Float(b), Float(a))));
            case Mnemonic.Vfmadd213ps:
                return EachLane(instruction, static (d, a, b) => Bits(MathF.FusedMultiplyAdd(Float(a), Float(d), Float(b))));
            case Mnemonic.Vfmadd231ps:
                return EachLane(instruction, static (d, a, b) => Bits(MathF.FusedMultiplyAdd(Float(a), Float(b), Float(d))));
            case Mnemonic.Vpaddd:
                return EachLane(instruction, static (_, a, b) => a + b);
            case Mnemonic.Vpdpbusd:
                return EachLane(instruction, static (d, a, b) => MultiplyBytes(d, a, b));
            case Mnemonic.Vdpbf16ps:
                return EachLane(instruction, static (d, a, b) => MultiplyPairs(d, a, b));
            default:
                return false;
        }
    }

    private static float Float(uint bits) => BitConverter.UInt32BitsToSingle(bits);

    private static uint Bits(float value) => BitConverter.SingleToUInt32Bits(value);

    private static float FlushSubnormal(float value) => float.IsSubnormal(value) ? MathF.CopySign(0f, value) : value;

    /// <summary>a · b + c of bfloat16 numbers a and b, with subnormal numbers taken as zero before and after.</summary>
    private static float MultiplyAddFlushed(uint a, uint b, float c) =>
        FlushSubnormal(MathF.FusedMultiplyAdd(FlushSubnormal(Float(a << 16)), FlushSubnormal(Float(b << 16)), FlushSubnormal(c)));

    /// <summary>VDPBF16PS of one lane: the odd pair first, then the even one.</summary>
    private static uint MultiplyPairs(uint sum, uint a, uint b)
    {
        float odd = MultiplyAddFlushed(a >> 16, b >> 16, Float(sum));
        return Bits(MultiplyAddFlushed(a & 0xFFFF, b & 0xFFFF, odd));
    }

    /// <summary>VPDPBUSD of one lane: unsigned bytes times signed ones.</summary>
    private static uint MultiplyBytes(uint sum, uint a, uint b)
    {
        for (int i = 0; i < 32; i += 8)
        {
            sum += (uint)((byte)(a >> i) * (sbyte)(byte)(b >> i));
        }

        return sum;
    }

    private static int Offset(Register register)
    {
        Check(register.IsVectorRegister(), $"{register} is no vector register.");
        int index = register.IsXMM() ? register - Register.XMM0 : register.IsYMM() ? register - Register.YMM0 : register - Register.ZMM0;
        return index * VectorBytes;
    }

    private void Move(in Instruction instruction)
    {
        bool loads = instruction.Op0Kind == OpKind.Register;
        Register register = loads ? instruction.Op0Register : instruction.Op1Register;
        int bytes = register.GetSize();
        Span<byte> vector = _vectors.AsSpan(Offset(register), bytes);
        if (!loads)
        {
            CheckAlignment(instruction, bytes);
            vector.CopyTo(new Span<byte>(At(instruction, Address(instruction), bytes, write: true), bytes));
            return;
        }

        if (instruction.Op1Kind == OpKind.Register)
        {
            _vectors.AsSpan(Offset(instruction.Op1Register), bytes).CopyTo(vector);
        }
        else
        {
            CheckAlignment(instruction, bytes);
            new Span<byte>(At(instruction, Address(instruction), bytes, write: false), bytes).CopyTo(vector);
        }

        ClearAbove(instruction, register);
    }

    private void CheckAlignment(in Instruction instruction, int bytes) =>
        Check(
            instruction.Mnemonic is not (Mnemonic.Movaps or Mnemonic.Vmovaps) || Address(instruction) % (ulong)bytes == 0,
            $"'{instruction}' needs an aligned address.");

    /// <summary>All but the old SSE instructions clear the rest of their register.</summary>
    private void ClearAbove(in Instruction instruction, Register register)
    {
        if (instruction.Encoding != EncodingKind.Legacy)
        {
            _vectors.AsSpan(Offset(register) + register.GetSize(), VectorBytes - register.GetSize()).Clear();
        }
    }

    private void Broadcast(in Instruction instruction)
    {
        uint value = instruction.Op1Kind == OpKind.Register
            ? BitConverter.ToUInt32(_vectors, Offset(instruction.Op1Register))
            : *(uint*)At(instruction, Address(instruction), 4, write: false);
        Register target = instruction.Op0Register;
        for (int i = 0; i < target.GetSize(); i += 4)
        {
            BitConverter.TryWriteBytes(_vectors.AsSpan(Offset(target) + i), value);
        }

        ClearAbove(instruction, target);
    }

    /// <summary>Applies an operation to 32-bit lanes: old value of the target, first and second operand.</summary>
    private bool EachLane(in Instruction instruction, Func<uint, uint, uint, uint> operation)
    {
        Register target = instruction.Op0Register;
        int bytes = target.GetSize();
        byte* memory = instruction.Op2Kind == OpKind.Memory
            ? At(instruction, Address(instruction), instruction.IsBroadcast ? 4 : bytes, write: false)
            : null;
        byte[] second = memory is null ? _vectors.AsSpan(Offset(instruction.Op2Register), bytes).ToArray() : new byte[bytes];
        for (int i = 0; i < bytes; i += 4)
        {
            uint b = memory is null ? BitConverter.ToUInt32(second, i) : *(uint*)(memory + (instruction.IsBroadcast ? 0 : i));
            uint d = BitConverter.ToUInt32(_vectors, Offset(target) + i);
            uint a = BitConverter.ToUInt32(_vectors, Offset(instruction.Op1Register) + i);
            BitConverter.TryWriteBytes(_vectors.AsSpan(Offset(target) + i), operation(d, a, b));
        }

        ClearAbove(instruction, target);
        return true;
    }
}
