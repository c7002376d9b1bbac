using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// A row or two of x, rounded to 8-bit integers, times four rows of packed 4- or 8-bit codes by <c>vpdpbusd</c>: what
/// <see cref="Int8Tiles"/> computes, to the same bits, in the order in which memory delivers the codes fastest.
/// </summary>
/// <remarks>
/// A block of x: for each row 64 bytes that meet the first register of codes and 64 for the second (low and high nibbles: even and odd
/// columns; bytes: first and second half), then the steps and the Σ q of the rows, each four times over.
/// </remarks>
internal readonly unsafe struct Int8PackedKernels : IPackedKernels
{
    private const int FirstProduct = 8;

    private static readonly KernelTable Kernels = new(
        9 * (IPackedKernels.MostRows + 1), static index => Generate(index / (IPackedKernels.MostRows + 1), index % (IPackedKernels.MostRows + 1)));

    public static bool Fits(in PackedRows rows) => rows.HasWholeBlocks && !rows.HasBook && (rows.Bits == 4 || (rows.Bits == 8 && rows.Columns % PackedRows.Block == 0));

    public static int BlockBytes(int count) => (128 * count) + (((32 * count) + 63) & ~63);

    public static int SumsLength(int count) => Vector512<float>.Count * count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Arrange(float* x, long stride, int count, int columns, int bits, byte* target)
    {
        sbyte* quantized = stackalloc sbyte[PackedRows.Block];
        int* quarters = stackalloc int[4];
        for (int start = 0; start < columns; start += PackedRows.Block, target += BlockBytes(count))
        {
            int length = Math.Min(PackedRows.Block, columns - start);
            float* steps = (float*)(target + (128 * count));
            float* totals = steps + (4 * count);
            for (int m = 0; m < count; m++)
            {
                float step = Int8Rounding.Quantize(x + (m * stride) + start, length, quantized, quarters);
                int total = quarters[0] + quarters[1] + quarters[2] + quarters[3];
                Vector128.Create(step).Store(steps + (4 * m));
                Vector128.Create((float)total).Store(totals + (4 * m));
                byte* bytes = target + (128 * m);
                if (bits == 8)
                {
                    Buffer.MemoryCopy(quantized, bytes, PackedRows.Block, PackedRows.Block);
                    continue;
                }

                for (int half = 0; half < 2; half++)
                {
                    Vector512<ushort> pairs = Vector512.Load((ushort*)quantized + (32 * half));
                    Avx512BW.ConvertToVector256Byte(pairs).Store(bytes + (32 * half));
                    Avx512BW.ConvertToVector256Byte(pairs >>> 8).Store(bytes + 64 + (32 * half));
                }
            }
        }
    }

    public static void Run(int count, int bits, PackedArguments* arguments, float* sums)
    {
        ((delegate* unmanaged[SuppressGCTransition]<PackedArguments*, void>)Kernels[(bits * (IPackedKernels.MostRows + 1)) + count])(arguments);
        for (int m = 0; m < count; m++)
        {
            Vector128.Load(arguments->Sums + (Vector512<float>.Count * m)).Store(sums + (PackedKernelAssembler.Rows * m));
        }
    }

    /// <summary>The code of one kernel.</summary>
    internal static byte[] Generate(int bits, int count) =>
        PackedKernelAssembler.Assemble(bits, count, BlockBytes(count), PackedRows.FactorBytes, Prologue, code => Block(code, bits, count));

    private static void Prologue(Assembler code)
    {
        code.mov(r9d, 0x0F0F0F0F);
        code.vpbroadcastd(zmm31, r9d);
    }

    private static void Block(Assembler code, int bits, int count)
    {
        const int first = 16, second = 20;
        for (int row = 0; row < PackedKernelAssembler.Rows; row++)
        {
            (AssemblerRegisterZMM low, AssemblerRegisterZMM high) = (PackedKernelAssembler.Zmm(first + row), PackedKernelAssembler.Zmm(second + row));
            code.vmovdqu64(low, PackedKernelAssembler.Row(row));
            if (bits == 8)
            {
                code.vmovdqu64(high, PackedKernelAssembler.Row(row, 64));
                continue;
            }

            code.vpsrlw(high, low, 4);
            code.vpandd(low, low, zmm31);
            code.vpandd(high, high, zmm31);
        }

        for (int m = 0; m < count; m++)
        {
            for (int row = 0; row < PackedKernelAssembler.Rows; row++)
            {
                AssemblerRegisterZMM product = PackedKernelAssembler.Zmm(FirstProduct + row);
                code.vpxord(product, product, product);
                code.vpdpbusd(product, PackedKernelAssembler.Zmm(first + row), __zmmword_ptr[r9 + (128 * m)]);
                code.vpdpbusd(product, PackedKernelAssembler.Zmm(second + row), __zmmword_ptr[r9 + (128 * m) + 64]);
            }

            AddLanes(code);

            // An integer below 2²⁴, so that neither the conversion nor the subtraction rounds.
            code.vcvtdq2ps(xmm8, xmm8);
            code.vmovups(xmm12, __xmmword_ptr[r8 + 16]);
            code.vfnmadd231ps(xmm8, xmm12, __xmmword_ptr[r9 + (128 * count) + (16 * (count + m))]);
            code.vmulps(xmm8, xmm8, __xmmword_ptr[r9 + (128 * count) + (16 * m)]);
            code.vfmadd231ps(new AssemblerRegisterXMM(Register.XMM0 + m), xmm8, __xmmword_ptr[r8]);
        }
    }

    /// <summary>The sums of the lanes of each product, side by side.</summary>
    private static void AddLanes(Assembler code)
    {
        for (int pair = 0; pair < 2; pair++)
        {
            (AssemblerRegisterZMM a, AssemblerRegisterZMM b) = (PackedKernelAssembler.Zmm(FirstProduct + (2 * pair)), PackedKernelAssembler.Zmm(FirstProduct + (2 * pair) + 1));
            code.vpunpckldq(zmm12, a, b);
            code.vpunpckhdq(a, a, b);
            code.vpaddd(a, a, zmm12);
        }

        code.vpunpcklqdq(zmm12, zmm8, zmm10);
        code.vpunpckhqdq(zmm8, zmm8, zmm10);
        code.vpaddd(zmm8, zmm8, zmm12);
        code.vextracti64x4(ymm12, zmm8, 1);
        code.vpaddd(ymm8, ymm8, ymm12);
        code.vextracti32x4(xmm12, ymm8, 1);
        code.vpaddd(xmm8, xmm8, xmm12);
    }
}
