using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>The smallest kernel that needs all of the way to machine code: assembler, executable pages, BF16 and VNNI instructions.</summary>
internal static unsafe class MachineCodeProbe
{
    private const int Lanes = 16;

    /// <summary>Code of the kernel; its argument points to four vectors: bfloat16 pairs, bytes, and both results.</summary>
    public static byte[] Assemble()
    {
        KernelAssembler kernel = new();
        Assembler code = kernel.Code;
        code.vpxord(zmm0, zmm0, zmm0);
        code.vpxord(zmm1, zmm1, zmm1);
        code.vmovups(zmm2, __zmmword_ptr[r11]);
        code.vmovups(zmm3, __zmmword_ptr[r11 + 64]);
        code.vdpbf16ps(zmm0, zmm2, zmm2);
        code.vpdpbusd(zmm1, zmm3, zmm3);
        code.vmovups(__zmmword_ptr[r11 + 128], zmm0);
        code.vmovups(__zmmword_ptr[r11 + 192], zmm1);
        return kernel.Assemble();
    }

    /// <summary>Runs it; true where every lane is right.</summary>
    public static bool Run(ExecutableMemory code)
    {
        ushort* data = stackalloc ushort[8 * Lanes];
        for (int i = 0; i < 2 * Lanes; i++)
        {
            data[i] = ((BFloat16)(i + 0.5f)).Bits;
            data[(2 * Lanes) + i] = (ushort)((i + 1) | ((i + 2) << 8));
        }

        ((delegate* unmanaged<void*, void>)code.Entry)(data);
        float* floats = (float*)(data + (4 * Lanes));
        int* sums = (int*)(data + (6 * Lanes));
        bool right = true;
        for (int i = 0; i < Lanes; i++)
        {
            (float first, float second) = ((2 * i) + 0.5f, (2 * i) + 1.5f);
            int k = 2 * i;
            right &= floats[i] == (first * first) + (second * second);
            right &= sums[i] == ((k + 1) * (k + 1)) + (2 * (k + 2) * (k + 2)) + ((k + 3) * (k + 3));
        }

        GC.KeepAlive(code);
        return right;
    }
}
