using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Few rows of x, rounded to bfloat16, times packed 2-, 3- or 4-bit codes whose values are rounded likewise: a table of the group's values,
/// looked up for 32 codes at once, multiplied by <c>vdpbf16ps</c>.
/// </summary>
/// <remarks>Word w of a block holds codes 4w … 4w + 3; look-up j takes code 4w + j of each.</remarks>
internal readonly unsafe struct BFloat16PackedKernels : IPackedKernels
{
    private const int WordSteps = 4;
    private const int MostParts = 4;

    private static readonly KernelTable Kernels = new(
        5 * (MostParts + 1) * (IPackedKernels.MostRows + 1),
        static index =>
        {
            (int coding, int count) = Math.DivRem(index, IPackedKernels.MostRows + 1);
            return Generate(coding / (MostParts + 1), coding % (MostParts + 1), count);
        });

    public static bool Fits(in PackedRows rows) => rows.Bits <= 4 && rows.HasWholeQuarters;

    /// <summary>Rows of x that kernels for such a weight take at most: four groups' tables take registers of the last one.</summary>
    public static int MostRows(in PackedRows rows) => rows.Parts < MostParts ? IPackedKernels.MostRows : IPackedKernels.MostRows - 1;

    public static int BlockBytes(int count) => WordSteps * 64 * count;

    public static int SumsLength(int count) => 16 * PackedKernelAssembler.Rows * count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Arrange(float* x, long stride, int count, int columns, int bits, byte* target)
    {
        Vector512<ushort> even = Vector512<ushort>.Indices + Vector512<ushort>.Indices;
        Vector512<ushort> odd = even + Vector512<ushort>.One;
        float* block = stackalloc float[PackedRows.Block];
        for (int start = 0; start < columns; start += PackedRows.Block, target += BlockBytes(count))
        {
            int length = Math.Min(PackedRows.Block, columns - start);
            for (int m = 0; m < count; m++)
            {
                BFloat16Vectors.Round(x + (m * stride) + start, block, length);
                new Span<float>(block + length, PackedRows.Block - length).Clear();
                (Vector512<ushort> w0, Vector512<ushort> w1) = (Words(block), Words(block + 32));
                (Vector512<ushort> w2, Vector512<ushort> w3) = (Words(block + 64), Words(block + 96));
                Vector512<ushort> e0 = Avx512BW.PermuteVar32x16x2(w0, even, w1), e1 = Avx512BW.PermuteVar32x16x2(w2, even, w3);
                Vector512<ushort> o0 = Avx512BW.PermuteVar32x16x2(w0, odd, w1), o1 = Avx512BW.PermuteVar32x16x2(w2, odd, w3);
                ushort* words = (ushort*)target + (32 * m);
                Avx512BW.PermuteVar32x16x2(e0, even, e1).Store(words);
                Avx512BW.PermuteVar32x16x2(o0, even, o1).Store(words + (32 * count));
                Avx512BW.PermuteVar32x16x2(e0, odd, e1).Store(words + (64 * count));
                Avx512BW.PermuteVar32x16x2(o0, odd, o1).Store(words + (96 * count));
            }
        }
    }

    public static void Run(int count, int bits, PackedArguments* arguments, float* sums)
    {
        int coding = (bits * (MostParts + 1)) + (int)arguments->Parts;
        ((delegate* unmanaged[SuppressGCTransition]<PackedArguments*, void>)Kernels[(coding * (IPackedKernels.MostRows + 1)) + count])(arguments);
        for (int m = 0; m < count; m++)
        {
            LaneSums.Of4(arguments->Sums + (64 * m)).Store(sums + (PackedKernelAssembler.Rows * m));
        }
    }

    /// <summary>The code of one kernel.</summary>
    internal static byte[] Generate(int bits, int parts, int count) => PackedKernelAssembler.Assemble(
        bits,
        PackedKernelAssembler.Rows * count,
        BlockBytes(count),
        PackedRows.FactorBytes * parts,
        static code => code.vmovups(zmm31, Constant(nameof(CodeConstants.Values))),
        code => Block(code, bits, parts, count));

    private static void Block(Assembler code, int bits, int parts, int count)
    {
        const int upperTables = 12, codes = 16, tables = 20, values = 24, x = 28;
        for (int row = 0; row < PackedKernelAssembler.Rows; row++)
        {
            CodeExpansion.Load(code, bits, PackedKernelAssembler.Zmm(codes + row), PackedKernelAssembler.Row(row), PackedArguments.Offset(nameof(PackedArguments.Constants)));
            for (int part = 0; part < parts; part += 2)
            {
                MakeTable(code, row, part, parts, PackedKernelAssembler.Zmm((part == 0 ? tables : upperTables) + row), PackedKernelAssembler.Zmm(values + row));
            }
        }

        for (int step = 0; step < WordSteps; step++)
        {
            for (int row = 0; row < PackedKernelAssembler.Rows; row++)
            {
                AssemblerRegisterZMM index = PackedKernelAssembler.Zmm(codes + row);
                if (step > 0)
                {
                    code.vpsrlw(index, index, (byte)bits);
                }

                AssemblerRegisterZMM value = PackedKernelAssembler.Zmm(values + row);
                if (parts > 1)
                {
                    code.vpandd(value, index, Constant(nameof(CodeConstants.Mask)));
                    code.vpord(value, value, Constant(nameof(CodeConstants.Parts)));
                    index = value;
                }

                if (parts <= 2)
                {
                    code.vpermw(value, index, PackedKernelAssembler.Zmm(tables + row));
                }
                else
                {
                    code.vpermi2w(value, PackedKernelAssembler.Zmm(tables + row), PackedKernelAssembler.Zmm(upperTables + row));
                }
            }

            for (int m = 0; m < count; m++)
            {
                AssemblerRegisterZMM input = PackedKernelAssembler.Zmm(x + (m & 1));
                code.vmovdqu64(input, __zmmword_ptr[r9 + (64 * ((step * count) + m))]);
                for (int row = 0; row < PackedKernelAssembler.Rows; row++)
                {
                    code.vdpbf16ps(PackedKernelAssembler.Zmm((PackedKernelAssembler.Rows * m) + row), input, PackedKernelAssembler.Zmm(values + row));
                }
            }
        }
    }

    /// <summary>
    /// Sixteen values of scale · (code − zero) for each of two parts; a single part fills the table twice, as an index has a
    /// neighbour's bit above its code.
    /// </summary>
    private static void MakeTable(Assembler code, int row, int first, int parts, AssemblerRegisterZMM table, AssemblerRegisterZMM other)
    {
        for (int part = first; part < Math.Min(parts, first + 2); part++)
        {
            AssemblerRegisterZMM single = part == first ? table : other;
            int offset = (part * PackedRows.FactorBytes) + (row * sizeof(float));
            code.vsubps(single, zmm31, __dword_bcst[r8 + offset + (PackedKernelAssembler.Rows * sizeof(float))]);
            code.vmulps(single, single, __dword_bcst[r8 + offset]);
        }

        code.vcvtne2ps2bf16(table, parts > 1 ? other : table, table);
    }

    private static AssemblerMemoryOperand Constant(string field) =>
        __zmmword_ptr[r11 + PackedArguments.Offset(nameof(PackedArguments.Constants)) + CodeConstants.Offset(field)];

    /// <summary>The upper halves of 32 floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<ushort> Words(float* x) => Vector512.Create(
        Avx512F.ConvertToVector256UInt16(Vector512.Load((uint*)x) >>> 16), Avx512F.ConvertToVector256UInt16(Vector512.Load((uint*)x + 16) >>> 16));
}
