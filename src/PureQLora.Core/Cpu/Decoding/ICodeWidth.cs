using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>How 128 packed codes come into sixteen 32-bit lanes: lane d holds codes 8d … 8d + 7, the first in its lowest bits.</summary>
internal unsafe interface ICodeWidth
{
    /// <summary>Bits of a code.</summary>
    static abstract int Bits { get; }

    /// <summary>True where codes are looked up in a book instead of being numbers.</summary>
    static abstract bool HasBook { get; }

    /// <summary>Loads 128 codes; may read up to 64 bytes.</summary>
    static abstract Vector512<uint> Load(byte* codes);
}

/// <summary>4-bit codes: eight fill a lane.</summary>
internal readonly unsafe struct FourBits : ICodeWidth
{
    /// <inheritdoc/>
    public static int Bits => 4;

    /// <inheritdoc/>
    public static bool HasBook => false;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Load(byte* codes) => Vector512.Load((uint*)codes);
}

/// <summary>4-bit codes of a book.</summary>
internal readonly unsafe struct FourBitLevels : ICodeWidth
{
    /// <inheritdoc/>
    public static int Bits => 4;

    /// <inheritdoc/>
    public static bool HasBook => true;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Load(byte* codes) => Vector512.Load((uint*)codes);
}

/// <summary>3-bit codes: three bytes go to each lane.</summary>
internal readonly unsafe struct ThreeBits : ICodeWidth
{
    /// <inheritdoc/>
    public static int Bits => 3;

    /// <inheritdoc/>
    public static bool HasBook => false;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Load(byte* codes)
    {
        // Twelve bytes to each quarter of the vector, then three to each lane.
        Vector512<int> quarters = Vector512.Create(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
        Vector512<uint> words = Avx512F.PermuteVar16x32(Vector512.Load((uint*)codes), quarters.AsUInt32());
        Vector128<byte> threes = Vector128.Create(0, 1, 2, 0x80, 3, 4, 5, 0x80, 6, 7, 8, 0x80, 9, 10, 11, 0x80);
        Vector256<byte> half = Vector256.Create(threes, threes);
        return Avx512BW.Shuffle(words.AsByte(), Vector512.Create(half, half)).AsUInt32();
    }
}

/// <summary>2-bit codes: two bytes go to each lane.</summary>
internal readonly unsafe struct TwoBits : ICodeWidth
{
    /// <inheritdoc/>
    public static int Bits => 2;

    /// <inheritdoc/>
    public static bool HasBook => false;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Load(byte* codes) => Avx512F.ConvertToVector512UInt32(Vector256.Load((ushort*)codes));
}
