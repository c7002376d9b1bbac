using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Up to eight rows of x, rounded to 8-bit integers, times 32 rows of packed codes by <c>vpdpbusd</c>, with the rows of the weight in the
/// lanes, so that nothing is left to add up across lanes. A part of a block of 128 columns is summed as integers, exactly:
/// y += scale · (step · Σ (code − zero) · q), the same for a row of x whatever rows are beside it.
/// </summary>
/// <remarks>
/// Registers: sums from 0 on, 16 … 21 the unpacking, 24 … 27 codes or factors, 28 and 29 rows of x, 31 the mask of a code. r11 stays on
/// the arguments, rdx addresses the panel, r9 the rows of x, rax and rcx belong to the unpacking, r8 and r10 come and go.
/// </remarks>
internal static unsafe class Int8Tiles
{
    /// <summary>Rows of x that a kernel takes at most: their sums leave registers to the unpacking.</summary>
    public const int MostRows = 8;

    /// <summary>Weight rows of a kernel.</summary>
    public const int Rows = Vectors * 16;

    /// <summary>Vectors of weight rows.</summary>
    public const int Vectors = 2;

    /// <summary>Floats or integers of the factors of a part.</summary>
    public const int FactorsLength = 2 * Rows;

    private const int VectorBytes = 64;
    private const int MostSums = Vectors * MostRows;
    private const int FirstCodes = 24;
    private const int FirstX = 28;
    private const int Mask = 31;
    private const int MostParts = 4;
    private const int Variants = 4;

    private static readonly KernelTable Kernels = new(
        Variants * (MostRows + 1) * (MostParts + 1) * 9,
        static index =>
        {
            (int coding, int rest) = Math.DivRem(index, Variants * (MostRows + 1));
            Int8Layout layout = new(coding / (MostParts + 1), coding % (MostParts + 1), rest / Variants);
            return Generate(layout, unpacks: (rest & 1) != 0, asksForAll: (rest & 2) != 0);
        });

    /// <summary>Adds the products of all columns.</summary>
    /// <param name="bits">Of a code: 2, 4 or 8.</param>
    /// <param name="parts">Pieces of a block that may lie in groups of their own: 1, 2 or 4.</param>
    /// <param name="count">Rows of x, 1 to <see cref="MostRows"/>.</param>
    /// <param name="unpacks">The panel is filled; else it is filled already.</param>
    /// <param name="asksForAll">As many bytes as the tile's codes have are asked for ahead; else half of them.</param>
    /// <param name="arguments">Operands.</param>
    public static void Run(int bits, int parts, int count, bool unpacks, bool asksForAll, Int8TileArguments* arguments)
    {
        int index = ((((bits * (MostParts + 1)) + parts) * (MostRows + 1)) + count) * Variants;
        index += (unpacks ? 1 : 0) + (asksForAll ? 2 : 0);
        ((delegate* unmanaged[SuppressGCTransition]<Int8TileArguments*, void>)Kernels[index])(arguments);
    }

    /// <summary>Where four bytes of the codes of sixteen rows lie in a block of the panel.</summary>
    public static int PanelOffset(int step, int vector) => ((step * Vectors) + vector) * VectorBytes;

    /// <summary>The code of one kernel.</summary>
    internal static byte[] Generate(Int8Layout layout, bool unpacks, bool asksForAll)
    {
        KernelAssembler kernel = new();
        Assembler code = kernel.Code;
        code.mov(rdx, Field(nameof(Int8TileArguments.Panel)));
        code.mov(r9, Field(nameof(Int8TileArguments.X)));
        code.mov(eax, 0x01010101 * ((1 << layout.Bits) - 1));
        code.vpbroadcastd(Zmm(Mask), eax);
        int asked = asksForAll ? 2 : 1;
        (Label block, Label last) = (code.CreateLabel(), code.CreateLabel());
        if (unpacks)
        {
            code.mov(rax, Field(nameof(Int8TileArguments.Codes)));
            code.mov(rcx, Field(nameof(Int8TileArguments.RowBytes)));
            Int8Unpacking unpacking = new(code, layout.Bits);
            for (int piece = 0; piece < unpacking.Pieces; piece++)
            {
                unpacking.Piece(piece, 0);
            }

            // Each block unpacks the next one, but for the last.
            code.dec(Field(nameof(Int8TileArguments.Blocks)));
            code.jz(last);
            code.Label(ref block);
            Block(code, layout, asked, unpacking);
            code.dec(Field(nameof(Int8TileArguments.Blocks)));
            code.jnz(block);
            code.Label(ref last);
            Block(code, layout, asked, null);
        }
        else
        {
            code.Label(ref block);
            Block(code, layout, asked, null);
            code.dec(Field(nameof(Int8TileArguments.Blocks)));
            code.jnz(block);
        }

        return kernel.Assemble();
    }

    /// <summary>Adds the products of 128 columns, with the unpacking of the next ones spread over them, and some lines asked for in each step.</summary>
    private static void Block(Assembler code, Int8Layout layout, int asked, Int8Unpacking? unpacking)
    {
        int panelBytes = PackedRows.Block * layout.Bits / 8 * Rows;
        int steps = PackedRows.Block * layout.Bits / 32;
        int piece = 0;
        for (int part = 0; part < layout.Parts; part++)
        {
            BeginPart(code, layout, part);
            for (int step = part * steps / layout.Parts; step < (part + 1) * steps / layout.Parts; step++)
            {
                for (; unpacking is { } next && piece * steps <= step * next.Pieces && piece < next.Pieces; piece++)
                {
                    next.Piece(piece, panelBytes);
                }

                Ask(code, step * asked, asked);
                Step(code, layout, step);
            }

            EndPart(code, layout, part);
        }

        code.add(Field(nameof(Int8TileArguments.Ahead)), steps * asked * VectorBytes / Int8TileArguments.Streams);
        code.add(rdx, panelBytes);
        code.add(r9, layout.BlockBytes);
        code.add(Field(nameof(Int8TileArguments.Factors)), layout.Parts * FactorsLength * sizeof(float));
    }

    /// <summary>Asks for lines of what is ahead, from each stream in turn.</summary>
    private static void Ask(Assembler code, int first, int count)
    {
        code.mov(r8, Field(nameof(Int8TileArguments.Ahead)));
        code.mov(r10, Field(nameof(Int8TileArguments.AheadStep)));
        for (int line = first; line < first + count; line++)
        {
            (int offset, int stream) = (line / Int8TileArguments.Streams * VectorBytes, line % Int8TileArguments.Streams);
            switch (stream)
            {
                case 0:
                    code.prefetcht0(__[r8 + offset]);
                    break;
                case 1:
                    code.prefetcht0(__[r8 + r10 + offset]);
                    break;
                case 2:
                    code.prefetcht0(__[r8 + (r10 * 2) + offset]);
                    break;
                default:
                    code.lea(r10, __[r10 + (r10 * 2)]);
                    code.prefetcht0(__[r8 + r10 + offset]);
                    break;
            }
        }
    }

    /// <summary>The sums begin with −zero · Σ q: the zero point is the lower half of its lane, the upper half is zero.</summary>
    private static void BeginPart(Assembler code, Int8Layout layout, int part)
    {
        code.mov(r8, Field(nameof(Int8TileArguments.Factors)));
        for (int vector = 0; vector < Vectors; vector++)
        {
            code.vmovdqu64(Zmm(FirstCodes + vector), __zmmword_ptr[r8 + FactorOffset(part, Vectors + vector)]);
        }

        for (int i = 0; i < Vectors * layout.Count * Chains(layout); i++)
        {
            code.vpxord(Zmm(i), Zmm(i), Zmm(i));
        }

        for (int i = 0; i < Vectors * layout.Count; i++)
        {
            code.vpdpwssd(Zmm(i), Zmm(FirstCodes + (i % Vectors)), __dword_bcst[r9 + layout.TotalOffset(i / Vectors, part)]);
        }
    }

    /// <summary>Adds the products of four bytes of codes of each row: one code of each byte after the other.</summary>
    private static void Step(Assembler code, Int8Layout layout, int step)
    {
        for (int vector = 0; vector < Vectors; vector++)
        {
            code.vmovdqu64(Zmm(FirstCodes + vector), __zmmword_ptr[rdx + PanelOffset(step, vector)]);
        }

        for (int field = 0; field < layout.Fields; field++)
        {
            for (int vector = 0; vector < Vectors && layout.Fields > 1; vector++)
            {
                AssemblerRegisterZMM packed = Zmm(FirstCodes + vector), single = Zmm(FirstCodes + Vectors + vector);
                if (field > 0)
                {
                    code.vpsrlw(single, packed, (byte)(field * layout.Bits));
                }

                code.vpandd(single, field > 0 ? single : packed, Zmm(Mask));
            }

            int chain = ((step * layout.Fields) + field) % Chains(layout) * Vectors * layout.Count;
            for (int row = 0; row < layout.Count; row++)
            {
                code.vpbroadcastd(Zmm(FirstX + (row & 1)), __dword_ptr[r9 + layout.CodeOffset(step, row, field)]);
                for (int vector = 0; vector < Vectors; vector++)
                {
                    code.vpdpbusd(
                        Zmm(chain + (Vectors * row) + vector), Zmm(FirstCodes + (layout.Fields > 1 ? Vectors : 0) + vector), Zmm(FirstX + (row & 1)));
                }
            }
        }
    }

    private static void EndPart(Assembler code, Int8Layout layout, int part)
    {
        code.mov(r8, Field(nameof(Int8TileArguments.Factors)));
        for (int vector = 0; vector < Vectors; vector++)
        {
            code.vmovups(Zmm(FirstCodes + vector), __zmmword_ptr[r8 + FactorOffset(part, vector)]);
        }

        code.mov(r10, Field(nameof(Int8TileArguments.Sums)));
        int sums = Vectors * layout.Count;
        for (int i = 0; i < sums; i++)
        {
            for (int chain = 1; chain < Chains(layout); chain++)
            {
                code.vpaddd(Zmm(i), Zmm(i), Zmm((chain * sums) + i));
            }

            code.vcvtdq2ps(Zmm(i), Zmm(i));
            code.vmulps(Zmm(i), Zmm(i), __dword_bcst[r9 + Int8Layout.StepOffset(i / Vectors)]);
            code.vfmadd213ps(Zmm(i), Zmm(FirstCodes + (i % Vectors)), __zmmword_ptr[r10 + (i * VectorBytes)]);
            code.vmovups(__zmmword_ptr[r10 + (i * VectorBytes)], Zmm(i));
        }
    }

    /// <summary>Sums of a row of x and a vector that take turns: with few rows one would wait for itself. Sums of integers may be split as one likes.</summary>
    private static int Chains(Int8Layout layout) => Math.Min(4, MostSums / (Vectors * layout.Count));

    private static int FactorOffset(int part, int vector) => (part * FactorsLength * sizeof(float)) + (vector * VectorBytes);

    private static AssemblerMemoryOperand Field(string field) => __qword_ptr[r11 + Int8TileArguments.Offset(field)];

    private static AssemblerRegisterZMM Zmm(int index) => new(Register.ZMM0 + index);
}
