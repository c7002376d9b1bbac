using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Assembles a kernel that takes one pointer to its arguments. The differences between the calling conventions of Windows and of all
/// other systems end here: the argument is in r11, and rax, rcx, rdx, r8, r9, r10, r11 and every vector register are free.
/// </summary>
internal sealed class KernelAssembler
{
    private const int SavedVectors = 10;         // xmm6 … xmm15 belong to the caller on Windows
    private readonly bool _windows;

    /// <summary>Begins a kernel with its prologue.</summary>
    public KernelAssembler()
        : this(OperatingSystem.IsWindows())
    {
    }

    /// <summary>Begins a kernel for one of the two conventions.</summary>
    /// <param name="windows">Microsoft's convention instead of System V's.</param>
    public KernelAssembler(bool windows)
    {
        _windows = windows;
        if (windows)
        {
            Code.sub(rsp, (SavedVectors * 16) + 8);
            for (int i = 0; i < SavedVectors; i++)
            {
                Code.movups(__xmmword_ptr[rsp + (i * 16)], new AssemblerRegisterXMM(Register.XMM6 + i));
            }
        }

        Code.mov(r11, windows ? rcx : rdi);
    }

    /// <summary>Takes the instructions.</summary>
    public Assembler Code { get; } = new(64);

    /// <summary>A loop that counts a register down to zero; the body runs at least once.</summary>
    /// <param name="counter">Holds the number of rounds, above 0.</param>
    /// <param name="body">Emits one round.</param>
    public void Loop(AssemblerRegister64 counter, Action body)
    {
        Label start = Code.CreateLabel();
        Code.Label(ref start);
        body();
        Code.dec(counter);
        Code.jnz(start);
    }

    /// <summary>Skips the body where a register is zero.</summary>
    public void IfNotZero(AssemblerRegister64 register, Action body)
    {
        Label end = Code.CreateLabel();
        Code.test(register, register);
        Code.jz(end);
        body();
        Code.Label(ref end);
        Code.nop();
    }

    /// <summary>Ends the kernel and gives its code.</summary>
    public byte[] Assemble()
    {
        Code.vzeroupper();
        if (_windows)
        {
            for (int i = 0; i < SavedVectors; i++)
            {
                Code.movups(new AssemblerRegisterXMM(Register.XMM6 + i), __xmmword_ptr[rsp + (i * 16)]);
            }

            Code.add(rsp, (SavedVectors * 16) + 8);
        }

        Code.ret();
        using MemoryStream stream = new();
        Code.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }
}
