using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Products of 16 or 32 rows by 32 columns on AMX tiles. Accumulators: tmm0 and tmm1 for the upper 16 rows, tmm2 and tmm3 for the lower;
/// left tiles tmm4 and tmm5; right tiles tmm6 and tmm7. Every tile is 16 rows of 64 bytes (<see cref="AmxConfiguration"/>), so that one
/// configuration serves all kernels: lower products compute rows that nobody reads, short sums are filled up with zeros.
/// </summary>
/// <remarks>
/// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS: tile row m of the left operand holds 16 pairs of
/// inner elements, tile row k of the right one the k-th pair of 16 columns; even and odd elements are summed apart and then added.
/// Subnormal numbers count as zero.
/// </remarks>
internal readonly unsafe struct AmxKernels : IAmxKernels
{
    /// <summary>Rows of a tile.</summary>
    public const int TileRows = 16;

    /// <summary>Pairs of inner elements that a tile holds: one step of a kernel.</summary>
    public const int StepPairs = 16;

    /// <summary>Bytes of a tile row.</summary>
    public const int TileRowBytes = 64;

    /// <summary>Bytes of a row of sums.</summary>
    public const int SumsStride = BFloat16Panels.Columns * sizeof(float);

    /// <summary>Bytes of the sums of 32 rows; the next sums are expected behind them.</summary>
    public const int SumsBytes = 2 * TileRows * SumsStride;

    private const int PrefetchedLines = 4;
    private const int LineBytes = 64;

    private static readonly KernelTable Kernels = new(4, static index => Generate(new KernelAssembler(), (index & 2) != 0, (index & 1) != 0));

    public static void Run(bool tall, bool continues, in AmxArguments arguments)
    {
        fixed (AmxArguments* pointer = &arguments)
        {
            // A kernel takes a third of a microsecond: too short to be worth a transition, too short for the collector to mind.
            ((delegate* unmanaged[SuppressGCTransition]<AmxArguments*, void>)Kernels[(tall ? 2 : 0) + (continues ? 1 : 0)])(pointer);
        }
    }

    /// <summary>The code of one kernel.</summary>
    /// <remarks>
    /// Left operand in r8 with row stride rcx, right operand in r9 with row stride rdx, what is prefetched in r10 and rax, arguments in r11.
    /// Rows of sums are as long as rows of the right operand, so rdx is their stride too.
    /// </remarks>
    internal static byte[] Generate(KernelAssembler kernel, bool tall, bool continues)
    {
        Assembler code = kernel.Code;
        Load(code, r8, nameof(AmxArguments.Left));
        Load(code, r9, nameof(AmxArguments.Right));
        Load(code, r10, nameof(AmxArguments.Next));
        Load(code, rax, nameof(AmxArguments.Sums));
        code.mov(rcx, BFloat16Panels.LeftStride);
        code.mov(rdx, BFloat16Panels.PairBytes);
        Begin(code, tall, continues);
        code.add(rax, SumsBytes);

        Label step = code.CreateLabel();
        Label rest = code.CreateLabel();
        code.cmp(r8, __qword_ptr[r11 + Offset(nameof(AmxArguments.LeftEnd))]);
        code.jae(rest);
        code.Label(ref step);
        Multiply(code, tall, BFloat16Panels.LeftStride, prefetch: true);
        code.add(r8, TileRowBytes);
        code.add(r9, StepPairs * BFloat16Panels.PairBytes);
        code.add(r10, PrefetchedLines * LineBytes);
        code.add(rax, PrefetchedLines * LineBytes);
        code.cmp(r8, __qword_ptr[r11 + Offset(nameof(AmxArguments.LeftEnd))]);
        code.jb(step);
        code.Label(ref rest);
        Load(code, r8, nameof(AmxArguments.PaddedLeft));
        kernel.IfNotZero(r8, () =>
        {
            Load(code, r9, nameof(AmxArguments.PaddedRight));
            code.mov(rcx, TileRowBytes);
            Multiply(code, tall, TileRowBytes, prefetch: false);
        });
        Load(code, rax, nameof(AmxArguments.Sums));
        Store(code, tall);
        return kernel.Assemble();
    }

    private static void Begin(Assembler code, bool tall, bool continues)
    {
        for (int i = 0; i < (tall ? 4 : 2); i++)
        {
            if (continues)
            {
                code.tileloadd(Tile(i), Sums(i));
            }
            else
            {
                code.tilezero(Tile(i));
            }
        }
    }

    /// <summary>One step. Left tiles are used once here and pass through the cache; right ones are to stay for the rows below.</summary>
    private static void Multiply(Assembler code, bool tall, int leftStride, bool prefetch)
    {
        code.tileloaddt1(tmm4, __[r8 + rcx]);
        code.tileloadd(tmm6, __[r9 + rdx]);
        code.tdpbf16ps(tmm0, tmm4, tmm6);
        if (prefetch)
        {
            // The sums of the next product into L1, ...
            Prefetch(line => code.prefetcht0(__[rax + (line * LineBytes)]));
        }

        code.tileloadd(tmm7, __[r9 + rdx + TileRowBytes]);
        code.tdpbf16ps(tmm1, tmm4, tmm7);
        if (prefetch)
        {
            // ... operands of later ones into L2.
            Prefetch(line => code.prefetcht1(__[r10 + (line * LineBytes)]));
        }

        if (tall)
        {
            code.tileloaddt1(tmm5, __[r8 + rcx + (TileRows * leftStride)]);
            code.tdpbf16ps(tmm2, tmm5, tmm6);
            code.tdpbf16ps(tmm3, tmm5, tmm7);
        }
    }

    private static void Prefetch(Action<int> line)
    {
        for (int i = 0; i < PrefetchedLines; i++)
        {
            line(i);
        }
    }

    private static void Store(Assembler code, bool tall)
    {
        for (int i = 0; i < (tall ? 4 : 2); i++)
        {
            code.tilestored(Sums(i), Tile(i));
        }
    }

    /// <summary>The quarter of the sums that an accumulator holds: 16 rows by 16 columns.</summary>
    private static AssemblerMemoryOperand Sums(int i) => __[rax + rdx + (i / 2 * TileRows * SumsStride) + (i % 2 * TileRowBytes)];

    private static AssemblerRegisterTMM Tile(int index) => new(Register.TMM0 + index);

    private static void Load(Assembler code, AssemblerRegister64 register, string field) => code.mov(register, __[r11 + Offset(field)]);

    private static int Offset(string field) => (int)Marshal.OffsetOf<AmxArguments>(field);
}
