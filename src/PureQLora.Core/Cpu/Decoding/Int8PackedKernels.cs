using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Few rows of x, rounded to 8-bit integers, times packed 4- or 8-bit codes by <c>vpdpbusd</c>:
/// y = Σ over blocks of scale · step · (Σ code · q − zero · Σ q), the sums in parentheses exact.
/// </summary>
/// <remarks>
/// A block of x: for each row 64 bytes that meet the first register of codes and 64 for the second (low and high nibbles: even and odd
/// columns; bytes: first and second half), then the steps and the Σ q of the rows, each four times over.
/// </remarks>
internal readonly unsafe struct Int8PackedKernels : IPackedKernels
{
    private static readonly KernelTable Kernels = new(
        9 * (IPackedKernels.MostRows + 1), static index => Generate(index / (IPackedKernels.MostRows + 1), index % (IPackedKernels.MostRows + 1)));

    public static bool Fits(in PackedRows rows) => rows.HasWholeBlocks && !rows.HasBook && (rows.Bits == 4 || (rows.Bits == 8 && rows.Columns % PackedRows.Block == 0));

    public static int BlockBytes(int count) => (128 * count) + (((32 * count) + 63) & ~63);

    public static int SumsLength(int count) => 16 * ((PackedKernelAssembler.Rows * count) + 1);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Arrange(float* x, long stride, int count, int columns, int bits, byte* target)
    {
        sbyte* quantized = stackalloc sbyte[PackedRows.Block];
        for (int start = 0; start < columns; start += PackedRows.Block, target += BlockBytes(count))
        {
            int length = Math.Min(PackedRows.Block, columns - start);
            float* steps = (float*)(target + (128 * count));
            float* totals = steps + (4 * count);
            for (int m = 0; m < count; m++)
            {
                (float step, int total) = Int8Rounding.Quantize(x + (m * stride) + start, length, quantized);
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
        float* zeros = arguments->Sums + (64 * count);
        for (int m = 0; m < count; m++)
        {
            (LaneSums.Of4(arguments->Sums + (64 * m)) - Vector128.Load(zeros + (4 * m))).Store(sums + (4 * m));
        }
    }

    /// <summary>The code of one kernel.</summary>
    internal static byte[] Generate(int bits, int count) => PackedKernelAssembler.Assemble(
        bits,
        count,
        BlockBytes(count),
        nameof(PackedArguments.Products),
        64,
        kernel => Prologue(kernel, count),
        code => Block(code, bits, count),
        code => code.vmovups(__zmmword_ptr[rax + (64 * PackedKernelAssembler.Rows * count)], zmm30));

    /// <summary>
    /// scale · step for each block and each row of x and of the weight, and Σ of it times zero · Σ q. Ahead of the loop, which
    /// broadcasts single ones: memory that was just written by whole vectors is slow to be read in parts.
    /// </summary>
    private static void Prologue(KernelAssembler kernel, int count)
    {
        Assembler code = kernel.Code;
        code.mov(rax, __[r11 + PackedArguments.Offset(nameof(PackedArguments.Products))]);
        code.mov(r8, __[r11 + PackedArguments.Offset(nameof(PackedArguments.Factors))]);
        code.mov(r9, __[r11 + PackedArguments.Offset(nameof(PackedArguments.X))]);
        code.mov(r10, __[r11 + PackedArguments.Offset(nameof(PackedArguments.Blocks))]);
        code.vpxord(zmm30, zmm30, zmm30);
        kernel.Loop(r10, () =>
        {
            // Lanes beyond 4 · count are never read.
            code.vbroadcastf32x4(zmm29, __xmmword_ptr[r8]);
            code.vmulps(zmm29, zmm29, __zmmword_ptr[r9 + (128 * count)]);
            code.vmovups(__zmmword_ptr[rax], zmm29);
            code.vbroadcastf32x4(zmm28, __xmmword_ptr[r8 + 16]);
            code.vmulps(zmm28, zmm28, __zmmword_ptr[r9 + (128 * count) + (16 * count)]);
            code.vfmadd231ps(zmm30, zmm28, zmm29);
            code.add(rax, 64);
            code.add(r8, PackedRows.FactorBytes);
            code.add(r9, BlockBytes(count));
        });
        code.mov(r9d, 0x0F0F0F0F);
        code.vpbroadcastd(zmm31, r9d);
    }

    private static void Block(Assembler code, int bits, int count)
    {
        const int first = 16, second = 20, products = 26;
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
            code.vmovdqu64(zmm24, __zmmword_ptr[r9 + (128 * m)]);
            code.vmovdqu64(zmm25, __zmmword_ptr[r9 + (128 * m) + 64]);
            for (int row = 0; row < PackedKernelAssembler.Rows; row++)
            {
                int sum = (PackedKernelAssembler.Rows * m) + row;
                AssemblerRegisterZMM product = PackedKernelAssembler.Zmm(products + (sum % 4));
                code.vpxord(product, product, product);
                code.vpdpbusd(product, PackedKernelAssembler.Zmm(first + row), zmm24);
                code.vpdpbusd(product, PackedKernelAssembler.Zmm(second + row), zmm25);
                code.vcvtdq2ps(product, product);
                code.vfmadd231ps(PackedKernelAssembler.Zmm(sum), product, __dword_bcst[r8 + (sum * sizeof(float))]);
            }
        }
    }
}
