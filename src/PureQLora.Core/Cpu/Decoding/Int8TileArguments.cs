using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>What a kernel of <see cref="Int8Tiles"/> reads, at fixed offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Int8TileArguments
{
    /// <summary>Streams at once in which memory is fastest. Measured on Zen 5: one 53 GB/s, two 60, four 65.</summary>
    public const int Streams = 4;

    /// <summary>Codes of the first row of the tile.</summary>
    public byte* Codes;

    /// <summary>Bytes from a row's codes to those of the next.</summary>
    public long RowBytes;

    /// <summary>
    /// What is asked for meanwhile, such as the codes of the next tile: the first of <see cref="Streams"/> pieces, each in the order in
    /// which it lies, as no processor keeps enough single lines under way, but those that it foresees. The kernel moves it on.
    /// </summary>
    public byte* Ahead;

    /// <summary>Bytes from a piece to the next.</summary>
    public long AheadStep;

    /// <summary>[blocks, steps, 32] of 4 bytes: the codes of the tile side by side, written by the kernel that unpacks and read by all.</summary>
    public byte* Panel;

    /// <summary>Rows of x as <see cref="Int8Layout"/> arranges them.</summary>
    public byte* X;

    /// <summary>[blocks, parts, 64]: scales of the tile's rows, then their zero points as integers. The kernel moves it on.</summary>
    public float* Factors;

    /// <summary>[rows of x, 32], added to.</summary>
    public float* Sums;

    /// <summary>Blocks of 128 columns, above 0; counted down to 0.</summary>
    public long Blocks;

    /// <summary>Offset of a field.</summary>
    public static int Offset(string field) => (int)Marshal.OffsetOf<Int8TileArguments>(field);
}
