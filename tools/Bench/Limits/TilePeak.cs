using System.Runtime.InteropServices;
using Iced.Intel;
using PureQLora.Core;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Tools.Bench;

/// <summary>The rate of AMX tile products of bfloat16: four accumulators, so that the unit never waits for itself.</summary>
internal static unsafe partial class TilePeak
{
    private const int TileRows = 16;
    private const int TileBytes = 64;
    private const int Rounds = 4_000;
    private const int ProductsOfRound = 4;
    private const long ArchPrctl = 158;
    private const long RequestPermission = 0x1023;
    private const long TileData = 18;

    /// <summary>FLOP/s; null where the processor has no tiles or the system does not let this process use them.</summary>
    public static double? BFloat16(int threads, int bursts)
    {
        if (!CpuFeatures.Amx || !OperatingSystem.IsLinux() || SystemCall(ArchPrctl, RequestPermission, TileData) != 0)
        {
            return null;
        }

        // A product of two tiles: 16 × 16 sums of 32 products.
        const double Operations = 2.0 * TileRows * TileRows * 32 * ProductsOfRound * Rounds;
        return InstructionPeak.Run(Generate(), threads, bursts, Operations, Rounds, Fill);
    }

    private static byte[] Generate()
    {
        KernelAssembler kernel = new();
        Assembler code = kernel.Code;
        code.mov(r8, __[r11]);
        code.ldtilecfg(__[r11 + sizeof(long)]);
        code.mov(rax, TileBytes);
        code.lea(r9, __[r11 + sizeof(long) + TileBytes]);
        foreach (AssemblerRegisterTMM operand in (AssemblerRegisterTMM[])[tmm4, tmm5, tmm6, tmm7])
        {
            code.tileloadd(operand, __[r9 + rax]);
        }

        foreach (AssemblerRegisterTMM sum in (AssemblerRegisterTMM[])[tmm0, tmm1, tmm2, tmm3])
        {
            code.tilezero(sum);
        }

        kernel.Loop(r8, () =>
        {
            code.tdpbf16ps(tmm0, tmm4, tmm6);
            code.tdpbf16ps(tmm1, tmm4, tmm7);
            code.tdpbf16ps(tmm2, tmm5, tmm6);
            code.tdpbf16ps(tmm3, tmm5, tmm7);
        });
        code.tilerelease();
        return kernel.Assemble();
    }

    /// <summary>The configuration (palette 1, eight tiles of 16 rows of 64 bytes), then numbers.</summary>
    private static void Fill(nint operands)
    {
        InstructionPeak.FillWithSmallNumbers(operands);
        byte* configuration = (byte*)operands;
        NativeMemory.Clear(configuration, TileBytes);
        configuration[0] = 1;
        for (int tile = 0; tile < 8; tile++)
        {
            ((ushort*)(configuration + 16))[tile] = TileBytes;
            configuration[48 + tile] = TileRows;
        }
    }

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long SystemCall(long number, long first, long second);
}
