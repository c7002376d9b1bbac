using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Instructions that write a block of 128 columns of one row as bfloat16: of packed 2-, 3- or 4-bit codes the values
/// scale · (code − zero), looked up for 32 codes at once in a table of each group's values; of 8-bit codes the same, computed; and
/// bfloat16 as it is. In pieces, so that they can stand among those of a product.
/// </summary>
/// <remarks>
/// Word w of a block holds narrow codes 4w … 4w + 3; step j takes code 4w + j of each. Wide ones keep their order. rax addresses the codes, r8 the factors, rcx the target,
/// r10 holds how far ahead to ask. Registers: 28 codes, 29 whatever passes by, 30 and 31 tables; constants stay in memory.
/// </remarks>
/// <param name="code">Takes the instructions.</param>
/// <param name="bits">Of a code; 16 for bfloat16, which has no parts.</param>
/// <param name="parts">Pieces of a block that may lie in groups of their own: 1, 2 or 4.</param>
internal readonly struct CodeExpansion(Assembler code, int bits, int parts)
{
    /// <summary>Pieces of a block in groups of their own at most.</summary>
    public const int MostParts = 4;

    private static readonly AssemblerRegisterZMM Codes = zmm28, Passing = zmm29, Table = zmm30, OtherTable = zmm31;

    /// <summary>Pieces of instructions of a block: the tables, then each look-up.</summary>
    public static int Pieces => 1 + RowTileKernels.Steps;

    /// <summary>Bytes of the codes of a block of a row.</summary>
    public int CodeBytes => PackedRows.Block * bits / 8;

    /// <summary>Pieces of a block of 128 columns such that each lies in one group: 1, 2 or 4; 0 where there are no such instructions.</summary>
    public static int PartsOf(in PackedRows rows) => rows.HasWholeQuarters && HoldsWhole(rows) ? rows.Parts : 0;

    /// <summary>Bytes are read only inside of rows: what lies behind the last one might belong to nobody.</summary>
    private static bool HoldsWhole(in PackedRows rows) => rows.Bits <= 4 || rows.Columns % PackedRows.Block == 0;

    /// <summary>Emits a piece of a block.</summary>
    /// <param name="piece">0 … <see cref="Pieces"/> − 1, in this order.</param>
    /// <param name="row">Row within the target's eight, from the one that rcx points to.</param>
    public void Piece(int piece, int row)
    {
        if (piece == 0)
        {
            for (int line = 0; line < CodeBytes; line += RowTileKernels.VectorBytes)
            {
                code.prefetcht0(__[rax + r10 + line]);
            }

            if (bits <= 4)
            {
                Load(code, bits, Codes, __zmmword_ptr[rax], RowTileArguments.Offset(nameof(RowTileArguments.Constants)));
                MakeTables();
            }

            return;
        }

        int step = piece - 1;
        switch (bits)
        {
            case 16:
                code.vmovdqu64(Passing, __zmmword_ptr[rax + (RowTileKernels.VectorBytes * step)]);
                break;
            case 8:
                Compute(step);
                break;
            default:
                LookUp(step * bits);
                break;
        }

        code.vmovdqu64(__zmmword_ptr[rcx + (RowTileKernels.VectorBytes * ((step * RowTileKernels.Rows) + row))], Passing);
    }

    /// <summary>The values of 32 bytes, which lie in one part.</summary>
    private void Compute(int step)
    {
        int offset = 2 * sizeof(float) * (step * parts / RowTileKernels.Steps);
        for (int half = 0; half < 2; half++)
        {
            AssemblerRegisterZMM values = half == 0 ? Table : OtherTable;
            code.vpmovzxbd(values, __xmmword_ptr[rax + (32 * step) + (16 * half)]);
            code.vcvtdq2ps(values, values);
            code.vsubps(values, values, __dword_bcst[r8 + offset + sizeof(float)]);
            code.vmulps(values, values, __dword_bcst[r8 + offset]);
        }

        code.vcvtne2ps2bf16(Passing, OtherTable, Table);
    }

    /// <summary>Emits a load of a block of narrow codes: four to each word, the first in its lowest bits.</summary>
    /// <param name="code">Takes the instructions.</param>
    /// <param name="bits">Of a code, at most 4.</param>
    /// <param name="target">Receives the words.</param>
    /// <param name="block">Where they lie.</param>
    /// <param name="constants">Offset of the <see cref="CodeConstants"/> from r11.</param>
    public static void Load(Assembler code, int bits, AssemblerRegisterZMM target, AssemblerMemoryOperand block, int constants)
    {
        switch (bits)
        {
            case 4:
                code.vmovdqu64(target, block);
                break;
            case 3:
                code.vmovdqu64(target, __zmmword_ptr[r11 + constants + CodeConstants.Offset(nameof(CodeConstants.Quarters))]);
                code.vpermd(target, target, block);
                code.vpshufb(target, target, __zmmword_ptr[r11 + constants + CodeConstants.Offset(nameof(CodeConstants.Bytes))]);
                code.vpsrlvw(target, target, __zmmword_ptr[r11 + constants + CodeConstants.Offset(nameof(CodeConstants.Shifts))]);
                break;
            default:
                code.vpmovzxbw(target, block);
                break;
        }
    }

    /// <summary>Sixteen values for each part; one part fills a register twice, as an index has a neighbour's bit above its code.</summary>
    private void MakeTables()
    {
        for (int part = 0; part < parts; part += 2)
        {
            AssemblerRegisterZMM table = part == 0 ? Table : OtherTable;
            MakeSingle(table, part);
            if (parts == 1)
            {
                code.vcvtne2ps2bf16(table, table, table);
            }
            else
            {
                MakeSingle(Passing, part + 1);
                code.vcvtne2ps2bf16(table, Passing, table);
            }
        }
    }

    private void MakeSingle(AssemblerRegisterZMM target, int part)
    {
        int offset = 2 * sizeof(float) * part;
        code.vmovups(target, Constant(nameof(CodeConstants.Values)));
        code.vsubps(target, target, __dword_bcst[r8 + offset + sizeof(float)]);
        code.vmulps(target, target, __dword_bcst[r8 + offset]);
    }

    /// <summary>The values of the codes that start <paramref name="shift"/> bits up in each word.</summary>
    private void LookUp(int shift)
    {
        if (shift > 0)
        {
            code.vpsrlw(Passing, Codes, (byte)shift);
        }

        AssemblerRegisterZMM index = shift > 0 ? Passing : Codes;
        if (parts > 1)
        {
            code.vpandd(Passing, index, Constant(nameof(CodeConstants.Mask)));
            code.vpord(Passing, Passing, Constant(nameof(CodeConstants.Parts)));
            index = Passing;
        }

        if (parts <= 2)
        {
            code.vpermw(Passing, index, Table);
        }
        else
        {
            code.vpermi2w(Passing, Table, OtherTable);
        }
    }

    private static AssemblerMemoryOperand Constant(string field) =>
        __zmmword_ptr[r11 + RowTileArguments.Offset(nameof(RowTileArguments.Constants)) + CodeConstants.Offset(field)];
}
