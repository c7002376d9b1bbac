using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>
/// What a kernel of <see cref="RowTileKernels"/> reads, at fixed offsets: a product, and packed codes to expand for the next one. Vectors of constants come first, so that each lies in a cache line.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct RowTileArguments
{
    /// <summary>What the expansion needs to know of codes.</summary>
    public CodeConstants Constants;

    /// <summary>Rows of x of the first pass: [blocks, 4 steps, rows, 32] of bfloat16. The kernel moves it on, pass by pass.</summary>
    public byte* X;

    /// <summary>Bytes from the rows of x of a pass to those of the next.</summary>
    public long XStep;

    /// <summary>Rows of the weight: [blocks, 4 steps, 8, 32] of bfloat16.</summary>
    public byte* Weights;

    /// <summary>Blocks of 128 columns, above 0, of the product and of each row that is expanded.</summary>
    public long Blocks;

    /// <summary>The kernel's counter of blocks.</summary>
    public long BlocksLeft;

    /// <summary>Passes, each with other rows of x and, for an expansion, of codes; above 0. Counted down to 0.</summary>
    public long Passes;

    /// <summary>Receives a vector of partial sums for each row of x and, within it, of the weight. Moved on likewise.</summary>
    public float* Sums;

    /// <summary>Codes of the first row to expand.</summary>
    public byte* Codes;

    /// <summary>Bytes from a row's codes to those of the next row.</summary>
    public long CodesStep;

    /// <summary>Bytes from a block of the last row to the next block of the first.</summary>
    public long CodesBack;

    /// <summary>Bytes from behind the last block of a pass to the codes of the next one.</summary>
    public long CodesSkip;

    /// <summary>[rows, blocks, parts, 2]: scale and zero point of each part of a block.</summary>
    public float* Factors;

    /// <summary>Bytes from a row's factors to those of the next row.</summary>
    public long FactorsStep;

    /// <summary>Bytes from the factors of a block of the last row to those of the next block of the first.</summary>
    public long FactorsBack;

    /// <summary>Bytes from behind the last block of a pass to the factors of the next one.</summary>
    public long FactorsSkip;

    /// <summary>Bytes from codes to those that are asked for ahead of their use.</summary>
    public long Ahead;

    /// <summary>Receives the values of the expanded rows, as <see cref="Weights"/> has them.</summary>
    public byte* Target;

    /// <summary>Bytes from behind the last block of a pass to the target of the next one.</summary>
    public long TargetSkip;

    /// <summary>Sets where the rows to expand lie and where their values go.</summary>
    /// <param name="codes">Codes of the first block of the first row.</param>
    /// <param name="rowBytes">Bytes from a row's codes to those of the next.</param>
    /// <param name="blockBytes">Bytes of the codes of a block.</param>
    /// <param name="blocks">Blocks to expand.</param>
    /// <param name="perPass">Rows of a pass.</param>
    /// <param name="target">Place of the first row.</param>
    public void SetRows(byte* codes, long rowBytes, long blockBytes, int blocks, int perPass, byte* target)
    {
        Codes = codes;
        CodesStep = rowBytes;
        CodesBack = blockBytes - ((perPass - 1) * rowBytes);
        CodesSkip = (perPass * rowBytes) - (blocks * blockBytes);
        Target = target;
        TargetSkip = (perPass * RowTileKernels.VectorBytes) - ((long)blocks * RowTileKernels.BlockBytes(RowTileKernels.Rows));
    }

    /// <summary>Sets where scales and zero points of the rows to expand lie.</summary>
    /// <param name="factors">Those of the first block of the first row.</param>
    /// <param name="rowBytes">Bytes from a row's to those of the next.</param>
    /// <param name="blockBytes">Bytes of those of a block.</param>
    /// <param name="blocks">Blocks to expand.</param>
    /// <param name="perPass">Rows of a pass.</param>
    public void SetFactors(byte* factors, long rowBytes, long blockBytes, int blocks, int perPass)
    {
        Factors = (float*)factors;
        FactorsStep = rowBytes;
        FactorsBack = blockBytes - ((perPass - 1) * rowBytes);
        FactorsSkip = (perPass * rowBytes) - (blocks * blockBytes);
    }

    /// <summary>Offset of a field.</summary>
    public static int Offset(string field) => (int)Marshal.OffsetOf<RowTileArguments>(field);
}
