using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>What an assembled kernel over packed codes reads, at fixed offsets: four rows of the weight times a few rows of x.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PackedArguments
{
    /// <summary>Codes of the first of four rows.</summary>
    public byte* Codes;

    /// <summary>Bytes from a row to the next.</summary>
    public long RowBytes;

    /// <summary>[blocks, parts, 8]: the four rows' scales, then their zero points.</summary>
    public float* Factors;

    /// <summary>Rows of x as the kernel's format arranges them.</summary>
    public byte* X;

    /// <summary>Blocks of 128 columns, above 0.</summary>
    public long Blocks;

    /// <summary>Receives a vector of partial sums for each row of x and of the weight, and what else the kernel says.</summary>
    public float* Sums;

    /// <summary>[blocks, 16], working memory.</summary>
    public float* Products;

    /// <summary>Pieces of a block that may lie in groups of their own.</summary>
    public long Parts;

    /// <summary>What a code of 0 … 15 is worth before the zero point: itself, repeated for fewer than 4 bits.</summary>
    public fixed float Values[16];

    /// <summary>The lowest four bits of each word.</summary>
    public fixed ushort Mask[32];

    /// <summary>Where the values of a word's part begin in the table.</summary>
    public fixed ushort PartStarts[32];

    /// <summary>Fills in the constants of a kernel.</summary>
    /// <param name="bits">Of a code.</param>
    /// <param name="parts">Pieces of a block that may lie in groups of their own.</param>
    public void SetConstants(int bits, int parts)
    {
        Parts = parts;
        for (int i = 0; i < 16; i++)
        {
            Values[i] = i & ((1 << bits) - 1);
        }

        for (int word = 0; word < 32; word++)
        {
            (Mask[word], PartStarts[word]) = (15, (ushort)(word * parts / 32 * 16));
        }
    }

    /// <summary>Offset of a field.</summary>
    public static int Offset(string field) => (int)Marshal.OffsetOf<PackedArguments>(field);
}
