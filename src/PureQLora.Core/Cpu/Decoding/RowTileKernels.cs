using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Up to three rows of x times eight rows of a weight, all bfloat16, by <c>vdpbf16ps</c>. Both operands lie as the kernel reads them,
/// vector by vector. While it multiplies, a kernel may expand packed codes for the next product: the units that look up values would
/// have nothing else to do.
/// </summary>
/// <remarks>
/// Every sum takes its products in the order of <see cref="BFloat16PackedKernels"/>, so that a row of x gets the same bits from both and
/// from every size of tile. Registers: sums from 0 on, 24 … 26 rows of x, 27 one of the weight, the others are the expansion's.
/// </remarks>
internal static unsafe class RowTileKernels
{
    /// <summary>Rows of x that a kernel takes at most.</summary>
    public const int MostRows = 3;

    /// <summary>Weight rows of a kernel.</summary>
    public const int Rows = 8;

    /// <summary>Vectors of a block of 128 columns.</summary>
    public const int Steps = PackedRows.Block / 32;

    /// <summary>Bytes of a vector.</summary>
    public const int VectorBytes = 64;

    private const int FirstX = Rows * MostRows;
    private const int Weight = FirstX + MostRows;
    private const int Codings = 17 * (CodeExpansion.MostParts + 1);
    private const int Expansions = 5;

    private static readonly KernelTable Kernels = new(
        2 * (MostRows + 1) * Expansions * Codings,
        static index =>
        {
            int coding = index / 2 / (MostRows + 1) / Expansions;
            int expansion = index / 2 / (MostRows + 1) % Expansions;
            (int bits, int parts) = (coding / (CodeExpansion.MostParts + 1), coding % (CodeExpansion.MostParts + 1));
            return Generate(index / 2 % (MostRows + 1), goesOn: index % 2 != 0, bits, parts, (1 << expansion) >> 1);
        });

    /// <summary>Bytes of a block of 128 columns of so many rows.</summary>
    public static int BlockBytes(int rows) => Steps * VectorBytes * rows;

    /// <summary>Number of a kind of packed codes.</summary>
    /// <param name="bits">Of a code: 2, 3, 4 or 8, or 16 for bfloat16.</param>
    /// <param name="parts">As <see cref="CodeExpansion.PartsOf"/> says.</param>
    public static int Coding(int bits, int parts) => (bits * (CodeExpansion.MostParts + 1)) + parts;

    /// <summary>Multiplies and expands.</summary>
    /// <param name="count">Rows of x, 0 for an expansion alone, to <see cref="MostRows"/>.</param>
    /// <param name="goesOn">The sums begin with what <see cref="RowTileArguments.Sums"/> holds, not with 0.</param>
    /// <param name="coding">Number of the kind of codes to expand.</param>
    /// <param name="expanded">Rows to expand: 0, 1, 2, 4 or 8.</param>
    /// <param name="arguments">Operands.</param>
    public static void Run(int count, bool goesOn, int coding, int expanded, RowTileArguments* arguments)
    {
        int expansion = expanded == 0 ? 0 : System.Numerics.BitOperations.Log2((uint)expanded) + 1;
        int index = (((expanded == 0 ? 0 : coding) * Expansions) + expansion) * (MostRows + 1);
        ((delegate* unmanaged[SuppressGCTransition]<RowTileArguments*, void>)Kernels[(2 * (index + count)) + (goesOn ? 1 : 0)])(arguments);
    }

    /// <summary>Expands eight rows alone.</summary>
    /// <param name="coding">Number of the kind of codes.</param>
    /// <param name="blocks">Blocks of each row.</param>
    /// <param name="arguments">Operands.</param>
    public static void Expand(int coding, int blocks, RowTileArguments* arguments)
    {
        (arguments->Blocks, arguments->Passes) = (blocks, 1);
        Run(0, goesOn: false, coding, Rows, arguments);
    }

    /// <summary>The code of one kernel.</summary>
    internal static byte[] Generate(int count, bool goesOn, int bits, int parts, int expanded)
    {
        KernelAssembler kernel = new();
        Assembler code = kernel.Code;
        CodeExpansion expansion = new(code, bits, parts);
        if (expanded > 0)
        {
            code.mov(rax, Field(nameof(RowTileArguments.Codes)));
            code.mov(r8, Field(nameof(RowTileArguments.Factors)));
            code.mov(rcx, Field(nameof(RowTileArguments.Target)));
            code.mov(r10, Field(nameof(RowTileArguments.Ahead)));
        }

        Label pass = code.CreateLabel();
        code.Label(ref pass);
        BeginPass(code, count, goesOn);
        Label block = code.CreateLabel();
        code.Label(ref block);
        Block(code, count, expansion, expanded);
        code.dec(Field(nameof(RowTileArguments.BlocksLeft)));
        code.jnz(block);
        EndPass(code, count, expanded);
        code.dec(Field(nameof(RowTileArguments.Passes)));
        code.jnz(pass);
        return kernel.Assemble();
    }

    private static void BeginPass(Assembler code, int count, bool goesOn)
    {
        code.mov(r9, Field(nameof(RowTileArguments.Blocks)));
        code.mov(Field(nameof(RowTileArguments.BlocksLeft)), r9);
        code.mov(rdx, Field(nameof(RowTileArguments.Weights)));
        code.mov(r9, Field(nameof(RowTileArguments.Sums)));
        for (int i = 0; i < count * Rows; i++)
        {
            if (goesOn)
            {
                code.vmovups(Zmm(i), __zmmword_ptr[r9 + (VectorBytes * i)]);
            }
            else
            {
                code.vpxord(Zmm(i), Zmm(i), Zmm(i));
            }
        }

        code.mov(r9, Field(nameof(RowTileArguments.X)));
    }

    /// <summary>128 columns of the product, with the pieces of the expansion spread over it.</summary>
    private static void Block(Assembler code, int count, CodeExpansion expansion, int expanded)
    {
        const int slots = Steps * Rows;
        (int emitted, int pieces) = (0, expanded * CodeExpansion.Pieces);
        for (int slot = 0; slot < slots; slot++)
        {
            for (; emitted * slots < pieces * (slot + 1); emitted++)
            {
                Piece(code, expansion, emitted, expanded);
            }

            Products(code, slot / Rows, slot % Rows, count);
        }

        code.add(r9, BlockBytes(count));
        code.add(rdx, BlockBytes(Rows));
        if (expanded > 0)
        {
            code.add(rcx, BlockBytes(Rows));
        }
    }

    /// <summary>A piece of the expansion of a block, row by row.</summary>
    private static void Piece(Assembler code, CodeExpansion expansion, int number, int expanded)
    {
        (int row, int piece) = Math.DivRem(number, CodeExpansion.Pieces);
        expansion.Piece(piece, row);
        if (piece == CodeExpansion.Pieces - 1)
        {
            bool last = row == expanded - 1;
            code.add(rax, Field(last ? nameof(RowTileArguments.CodesBack) : nameof(RowTileArguments.CodesStep)));
            code.add(r8, Field(last ? nameof(RowTileArguments.FactorsBack) : nameof(RowTileArguments.FactorsStep)));
        }
    }

    /// <summary>Adds the products of 32 columns of one weight row.</summary>
    private static void Products(Assembler code, int step, int row, int count)
    {
        for (int m = 0; m < count && row == 0; m++)
        {
            code.vmovdqu64(Zmm(FirstX + m), __zmmword_ptr[r9 + (VectorBytes * ((step * count) + m))]);
        }

        if (count > 0)
        {
            code.vmovdqu64(Zmm(Weight), __zmmword_ptr[rdx + (VectorBytes * ((step * Rows) + row))]);
            for (int m = 0; m < count; m++)
            {
                code.vdpbf16ps(Zmm((m * Rows) + row), Zmm(FirstX + m), Zmm(Weight));
            }
        }
    }

    private static void EndPass(Assembler code, int count, int expanded)
    {
        code.mov(r9, Field(nameof(RowTileArguments.Sums)));
        for (int i = 0; i < count * Rows; i++)
        {
            code.vmovups(__zmmword_ptr[r9 + (VectorBytes * i)], Zmm(i));
        }

        code.add(r9, VectorBytes * Rows * count);
        code.mov(Field(nameof(RowTileArguments.Sums)), r9);
        code.mov(r9, Field(nameof(RowTileArguments.XStep)));
        code.add(Field(nameof(RowTileArguments.X)), r9);
        if (expanded > 0)
        {
            code.add(rax, Field(nameof(RowTileArguments.CodesSkip)));
            code.add(r8, Field(nameof(RowTileArguments.FactorsSkip)));
            code.add(rcx, Field(nameof(RowTileArguments.TargetSkip)));
        }
    }

    private static AssemblerMemoryOperand Field(string field) => __qword_ptr[r11 + RowTileArguments.Offset(field)];

    private static AssemblerRegisterZMM Zmm(int index) => PackedKernelAssembler.Zmm(index);
}
