using ILGPU;
using ILGPU.IR.Intrinsics;

namespace PureQLora.Kernels;

/// <summary>Integer codes to floats without a conversion instruction, of which a multiprocessor does only a quarter as many as of others.</summary>
public static class QuantizedCodes
{
    /// <summary>2^23: a float whose lowest 8 fraction bits are a code is this much larger than the code.</summary>
    public const float Bias = 8388608f;

    /// <summary>16: what four bits are more in the form of <see cref="SmallEven"/>, so little that it need not be subtracted from each.</summary>
    public const float SmallBias = 16f;

    private const uint SmallBiasBits = 0x41000000;

    private const uint BiasBits = 0x4B000000;

    /// <summary>Codes 0, 2, 4, 6 of eight 4-bit codes, one a byte.</summary>
    public static uint EvenNibbles(uint codes) => codes & 0x0F0F0F0Fu;

    /// <summary>Codes 1, 3, 5, 7 of eight 4-bit codes, one a byte.</summary>
    public static uint OddNibbles(uint codes) => (codes >> 4) & 0x0F0F0F0Fu;

    /// <summary>Byte 0 of four codes, plus <see cref="Bias"/>.</summary>
    public static float Biased0(uint codes) => Interop.IntAsFloat(Byte0(codes));

    /// <summary>Byte 1 of four codes, plus <see cref="Bias"/>.</summary>
    public static float Biased1(uint codes) => Interop.IntAsFloat(Byte1(codes));

    /// <summary>Byte 2 of four codes, plus <see cref="Bias"/>.</summary>
    public static float Biased2(uint codes) => Interop.IntAsFloat(Byte2(codes));

    /// <summary>Byte 3 of four codes, plus <see cref="Bias"/>.</summary>
    public static float Biased3(uint codes) => Interop.IntAsFloat(Byte3(codes));

    /// <summary>Codes 0, 2, 4, 6 of eight 4-bit codes, one a byte: as the upper bits of the fraction of a float from 16 to 31.</summary>
    public static uint SmallEven(uint codes) => ((codes << 3) & 0x78787878u) | 0x80808080u;

    /// <summary>As <see cref="SmallEven"/>, codes 1, 3, 5, 7.</summary>
    public static uint SmallOdd(uint codes) => ((codes >> 1) & 0x78787878u) | 0x80808080u;

    /// <summary>Byte 0 of four such codes, plus <see cref="SmallBias"/>.</summary>
    public static float Small0(uint codes) => Interop.IntAsFloat(SmallByte0(codes));

    /// <summary>Byte 1 of four such codes, plus <see cref="SmallBias"/>.</summary>
    public static float Small1(uint codes) => Interop.IntAsFloat(SmallByte1(codes));

    /// <summary>Byte 2 of four such codes, plus <see cref="SmallBias"/>.</summary>
    public static float Small2(uint codes) => Interop.IntAsFloat(SmallByte2(codes));

    /// <summary>Byte 3 of four such codes, plus <see cref="SmallBias"/>.</summary>
    public static float Small3(uint codes) => Interop.IntAsFloat(SmallByte3(codes));

    [IntrinsicImplementation, Ptx("prmt.b32 $r0, $0, 0x41000000, 0x7044")]
    private static uint SmallByte0(uint codes) => SmallBiasBits | ((codes & 0xFFu) << 16);

    [IntrinsicImplementation, Ptx("prmt.b32 $r0, $0, 0x41000000, 0x7144")]
    private static uint SmallByte1(uint codes) => SmallBiasBits | ((codes & 0xFF00u) << 8);

    [IntrinsicImplementation, Ptx("prmt.b32 $r0, $0, 0x41000000, 0x7244")]
    private static uint SmallByte2(uint codes) => SmallBiasBits | (codes & 0xFF0000u);

    [IntrinsicImplementation, Ptx("prmt.b32 $r0, $0, 0x41000000, 0x7344")]
    private static uint SmallByte3(uint codes) => SmallBiasBits | ((codes >> 8) & 0xFF0000u);

    [IntrinsicImplementation, Ptx("prmt.b32 $r0, $0, 0x4B000000, 0x7540")]
    private static uint Byte0(uint codes) => BiasBits | (codes & 0xFFu);

    [IntrinsicImplementation, Ptx("prmt.b32 $r0, $0, 0x4B000000, 0x7541")]
    private static uint Byte1(uint codes) => BiasBits | ((codes >> 8) & 0xFFu);

    [IntrinsicImplementation, Ptx("prmt.b32 $r0, $0, 0x4B000000, 0x7542")]
    private static uint Byte2(uint codes) => BiasBits | ((codes >> 16) & 0xFFu);

    [IntrinsicImplementation, Ptx("prmt.b32 $r0, $0, 0x4B000000, 0x7543")]
    private static uint Byte3(uint codes) => BiasBits | (codes >> 24);
}
