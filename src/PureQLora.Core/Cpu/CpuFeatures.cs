using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>What this processor and system can run, as far as .NET does not say it itself.</summary>
/// <remarks>Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, CPUID leaf 7.</remarks>
internal static class CpuFeatures
{
    private const int VendorAmd = 0x68747541;       // "Auth" of "AuthenticAMD"

    /// <summary>AVX-512 as the plain C# kernels need it.</summary>
    public static bool Avx512 { get; } = Vector512.IsHardwareAccelerated && Avx512BW.IsSupported && Avx512DQ.IsSupported && Avx512F.VL.IsSupported;

    /// <summary><c>vdpbf16ps</c> on 512-bit registers.</summary>
    public static bool Avx512BFloat16 { get; } = Avx512 && Bit(Leaf(7, 1).Eax, 5);

    /// <summary>
    /// Whether <c>vdpbf16ps</c> outruns a float32 multiply-add: on AMD's processors it has twice the rate (Zen 5: 432 against 229 GFLOP/s a
    /// core), on Intel's half of it (Sapphire Rapids: 121 against 243).
    /// </summary>
    public static bool Avx512BFloat16IsFast { get; } = Avx512BFloat16 && X86Base.CpuId(0, 0).Ebx == VendorAmd;

    /// <summary><c>vpdpbusd</c> on 512-bit registers.</summary>
    public static bool Avx512Vnni { get; } = Avx512 && Bit(Leaf(7, 0).Ecx, 11);

    /// <summary>Tiles with bfloat16 and 8-bit products; whether the system lets a process use them is another question.</summary>
    public static bool Amx { get; } = Avx512 && Bit(Leaf(7, 0).Edx, 24) && Bit(Leaf(7, 0).Edx, 22) && Bit(Leaf(7, 0).Edx, 25);

    /// <summary>The processor's side of a tier; the system may still refuse it.</summary>
    public static bool Has(CpuTier tier) => tier switch
    {
        CpuTier.Scalar => true,
        CpuTier.Vector128 => Vector128.IsHardwareAccelerated,
        CpuTier.Avx2 => Vector256.IsHardwareAccelerated && Avx2.IsSupported && Fma.IsSupported,
        CpuTier.Avx512 => Avx512,
        CpuTier.Avx512BFloat16 => Avx512BFloat16 && Avx512Vnni,
        _ => Amx,
    };

    private static (int Eax, int Ebx, int Ecx, int Edx) Leaf(int function, int subFunction) =>
        RuntimeInformation.ProcessArchitecture == Architecture.X64 && X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= function
            ? X86Base.CpuId(function, subFunction)
            : default;

    private static bool Bit(int value, int index) => ((value >> index) & 1) != 0;
}
