using System.Runtime.InteropServices;
using Iced.Intel;
using PureQLora.Core;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Tools.Bench;

/// <summary>
/// Rates of the product instructions that .NET does not offer on 512-bit registers or tiles, without memory access: 24 independent
/// chains on data that is not zero.
/// </summary>
internal static unsafe class InstructionPeak
{
    private const int Chains = 24;
    private const int FirstAccumulator = 4;
    private const int Rounds = 50_000;
    private const int OperandOffset = 8;
    private const int BlockBytes = 2048;

    /// <summary><c>vdpbf16ps</c>, FLOP/s; null where the processor has none or the system gives no executable pages.</summary>
    public static double? BFloat16(int threads, int bursts) =>
        CpuFeatures.Avx512BFloat16 ? Measure(threads, bursts, 16 * 2 * 2, static (code, sum) => code.vdpbf16ps(sum, zmm0, zmm1)) : null;

    /// <summary><c>vpdpbusd</c>, operations/s; null where the processor has none or the system gives no executable pages.</summary>
    public static double? Int8(int threads, int bursts) =>
        CpuFeatures.Avx512Vnni ? Measure(threads, bursts, 16 * 4 * 2, static (code, sum) => code.vpdpbusd(sum, zmm0, zmm1)) : null;

    /// <summary>Runs code many times on every thread; null where the system gives no executable pages.</summary>
    /// <param name="code">Takes a pointer to the number of rounds, with the operands behind it.</param>
    /// <param name="threads">Threads at once.</param>
    /// <param name="bursts">Measurements of each.</param>
    /// <param name="operations">Operations of one run.</param>
    /// <param name="rounds">Rounds of one run.</param>
    /// <param name="fill">Writes the operands.</param>
    internal static double? Run(byte[] code, int threads, int bursts, double operations, long rounds, Action<nint> fill)
    {
        ExecutableMemory pages;
        try
        {
            pages = new ExecutableMemory(code);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }

        byte* block = (byte*)NativeMemory.AlignedAlloc(BlockBytes, 64);
        try
        {
            *(long*)block = rounds;
            fill((nint)(block + OperandOffset));
            nint entry = pages.Entry;
            return ParallelBursts.Measure(threads, bursts, operations, () => ((delegate* unmanaged<byte*, void>)entry)(block));
        }
        finally
        {
            NativeMemory.AlignedFree(block);
            pages.Dispose();
        }
    }

    private static double? Measure(int threads, int bursts, double operations, Action<Assembler, AssemblerRegisterZMM> instruction)
    {
        KernelAssembler kernel = new();
        Assembler code = kernel.Code;
        code.mov(r8, __[r11]);
        code.vmovups(zmm0, __zmmword_ptr[r11 + OperandOffset]);
        code.vmovups(zmm1, __zmmword_ptr[r11 + OperandOffset + 64]);
        for (int i = 0; i < Chains; i++)
        {
            code.vmovups(Accumulator(i), zmm0);
        }

        kernel.Loop(r8, () =>
        {
            for (int i = 0; i < Chains; i++)
            {
                instruction(code, Accumulator(i));
            }
        });
        return Run(kernel.Assemble(), threads, bursts, operations * Chains * Rounds, Rounds, FillWithSmallNumbers);
    }

    /// <summary>Numbers near 0.01 as bfloat16, which are small odd integers as bytes.</summary>
    internal static void FillWithSmallNumbers(nint operands)
    {
        Span<BFloat16> values = new((void*)operands, (BlockBytes - OperandOffset) / sizeof(ushort));
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (BFloat16)(0.01f + (0.0001f * (i % 29)));
        }
    }

    private static AssemblerRegisterZMM Accumulator(int index) => new(Register.ZMM0 + FirstAccumulator + index);
}
