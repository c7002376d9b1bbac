using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>The frame that kernels over packed codes share: four weight rows are walked in blocks of 128 columns.</summary>
/// <remarks>
/// Registers: sums from 0 on; 16 … 31 are free. rax, rcx and rdx address the weight rows,
/// r8 the factors, r9 the rows of x, r10 counts blocks, r11 stays on the arguments.
/// </remarks>
internal static class PackedKernelAssembler
{
    /// <summary>Weight rows of a kernel.</summary>
    public const int Rows = 4;

    /// <summary>
    /// How far ahead codes are asked for. The processor foresees the four streams by itself; asking for what lies on another page
    /// disturbs it. Measured on Zen 5, two threads reading 2 MiB at a time: 62 GB/s with 1 KiB or without, 53 with 4 KiB.
    /// </summary>
    private const int PrefetchBytes = 1024;

    /// <summary>Assembles a kernel.</summary>
    /// <param name="bits">Of a code.</param>
    /// <param name="sums">Vectors that hold sums, from 0 on.</param>
    /// <param name="blockBytes">Bytes of a block of x.</param>
    /// <param name="factorBytes">Bytes of the factors of a block.</param>
    /// <param name="prologue">Emits what comes before the loop; it may use every register but r11.</param>
    /// <param name="block">Emits a block.</param>
    public static byte[] Assemble(
        int bits, int sums, int blockBytes, int factorBytes, Action<Assembler> prologue, Action<Assembler> block)
    {
        KernelAssembler kernel = new();
        Assembler code = kernel.Code;
        prologue(code);
        code.mov(rax, __[r11 + PackedArguments.Offset(nameof(PackedArguments.Codes))]);
        code.mov(rcx, __[r11 + PackedArguments.Offset(nameof(PackedArguments.RowBytes))]);
        code.lea(rdx, __[rcx + (rcx * 2)]);
        code.add(rdx, rax);
        code.mov(r8, __[r11 + PackedArguments.Offset(nameof(PackedArguments.Factors))]);
        code.mov(r9, __[r11 + PackedArguments.Offset(nameof(PackedArguments.X))]);
        code.mov(r10, __[r11 + PackedArguments.Offset(nameof(PackedArguments.Blocks))]);
        for (int i = 0; i < sums; i++)
        {
            code.vpxord(Zmm(i), Zmm(i), Zmm(i));
        }

        kernel.Loop(r10, () =>
        {
            for (int row = 0; row < Rows; row++)
            {
                for (int line = 0; line < 16 * bits; line += 64)
                {
                    code.prefetcht0(Row(row, PrefetchBytes + line));
                }
            }

            block(code);
            code.add(rax, 16 * bits);
            code.add(rdx, 16 * bits);
            code.add(r8, factorBytes);
            code.add(r9, blockBytes);
        });

        code.mov(rax, __[r11 + PackedArguments.Offset(nameof(PackedArguments.Sums))]);
        for (int i = 0; i < sums; i++)
        {
            code.vmovups(__zmmword_ptr[rax + (64 * i)], Zmm(i));
        }

        return kernel.Assemble();
    }

    /// <summary>The codes of one of the four rows.</summary>
    public static AssemblerMemoryOperand Row(int row, int offset = 0) => row switch
    {
        0 => __zmmword_ptr[rax + offset],
        1 => __zmmword_ptr[rax + rcx + offset],
        2 => __zmmword_ptr[rax + (rcx * 2) + offset],
        _ => __zmmword_ptr[rdx + offset],
    };

    /// <summary>A vector register.</summary>
    public static AssemblerRegisterZMM Zmm(int index) => new(Register.ZMM0 + index);
}
