using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>What an assembled kernel over packed codes reads, at fixed offsets: four rows of the weight times a few rows of x.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PackedArguments
{
    /// <summary>What kernels need to know of narrow codes.</summary>
    public CodeConstants Constants;

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

    /// <summary>Receives the vectors of sums.</summary>
    public float* Sums;

    /// <summary>Pieces of a block that may lie in groups of their own.</summary>
    public long Parts;

    /// <summary>Offset of a field.</summary>
    public static int Offset(string field) => (int)Marshal.OffsetOf<PackedArguments>(field);
}
