using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Tiles of up to 14 × 32 on <c>vdpbf16ps</c>: 28 accumulators, two registers of columns, two that take turns with a pair of the left
/// row, broadcast. One kernel for each height, assembled when it is first needed.
/// </summary>
/// <remarks>
/// Intel 64 and IA-32 Architectures Software Developer's Manual, VDPBF16PS: products of two pairs are added to a float32 lane, one after
/// the other, rounded to nearest; subnormal numbers count as zero.
/// </remarks>
internal readonly unsafe struct Avx512Tiles : ITileCode
{
    private const int Tallest = 14;
    private const int FirstAccumulator = 4;
    private const int Unrolled = 4;

    private static readonly KernelTable Kernels = new(2 * (Tallest + 1), static index => Generate(index >> 1, (index & 1) != 0));

    public static int TallestRows => Tallest;

    public static void Run(int height, bool accumulate, in TileArguments arguments)
    {
        fixed (TileArguments* pointer = &arguments)
        {
            ((delegate* unmanaged[SuppressGCTransition]<TileArguments*, void>)Kernels[(2 * height) + (accumulate ? 1 : 0)])(pointer);
        }
    }

    /// <summary>The code of one kernel.</summary>
    internal static byte[] Generate(int height, bool accumulate)
    {
        KernelAssembler kernel = new();
        Assembler code = kernel.Code;
        (AssemblerRegister64 left, AssemblerRegister64 right, AssemblerRegister64 pairs) = (r8, r9, r10);
        code.mov(left, __[r11 + Offset(nameof(TileArguments.Left))]);
        code.mov(right, __[r11 + Offset(nameof(TileArguments.Right))]);
        code.mov(rax, __[r11 + Offset(nameof(TileArguments.C))]);
        code.mov(rdx, __[r11 + Offset(nameof(TileArguments.StrideBytes))]);
        for (int i = 0; i < 2 * height; i++)
        {
            AssemblerRegisterZMM sum = Zmm(FirstAccumulator + i);
            code.vpxord(sum, sum, sum);
        }

        code.mov(pairs, __[r11 + Offset(nameof(TileArguments.Pairs))]);
        code.shr(pairs, 2);
        kernel.IfNotZero(pairs, () => kernel.Loop(pairs, () => Step(code, height, Unrolled)));
        code.mov(pairs, __[r11 + Offset(nameof(TileArguments.Pairs))]);
        code.and(pairs, Unrolled - 1);
        kernel.IfNotZero(pairs, () => kernel.Loop(pairs, () => Step(code, height, 1)));
        Store(code, height, accumulate);
        return kernel.Assemble();
    }

    /// <summary>Adds the products of some pairs of inner elements.</summary>
    private static void Step(Assembler code, int height, int count)
    {
        for (int pair = 0; pair < count; pair++)
        {
            code.vmovups(zmm0, __zmmword_ptr[r9 + (pair * BFloat16Panels.PairBytes)]);
            code.vmovups(zmm1, __zmmword_ptr[r9 + (pair * BFloat16Panels.PairBytes) + 64]);
            for (int row = 0; row < height; row++)
            {
                AssemblerRegisterZMM x = Zmm(2 + (row & 1));
                code.vbroadcastss(x, __dword_ptr[r8 + (row * BFloat16Panels.LeftStride) + (pair * 4)]);
                code.vdpbf16ps(Zmm(FirstAccumulator + (2 * row)), x, zmm0);
                code.vdpbf16ps(Zmm(FirstAccumulator + (2 * row) + 1), x, zmm1);
            }
        }

        code.add(r8, 4 * count);
        code.add(r9, BFloat16Panels.PairBytes * count);
    }

    private static void Store(Assembler code, int height, bool accumulate)
    {
        code.vbroadcastss(zmm0, __dword_ptr[r11 + Offset(nameof(TileArguments.Alpha))]);
        for (int row = 0; row < height; row++)
        {
            for (int half = 0; half < 2; half++)
            {
                AssemblerRegisterZMM sum = Zmm(FirstAccumulator + (2 * row) + half);
                if (accumulate)
                {
                    code.vfmadd213ps(sum, zmm0, __zmmword_ptr[rax + (64 * half)]);
                }
                else
                {
                    code.vmulps(sum, sum, zmm0);
                }

                code.vmovups(__zmmword_ptr[rax + (64 * half)], sum);
            }

            code.add(rax, rdx);
        }
    }

    private static AssemblerRegisterZMM Zmm(int index) => new(Register.ZMM0 + index);

    private static int Offset(string field) => (int)Marshal.OffsetOf<TileArguments>(field);
}
