namespace PureQLora.Core;

/// <summary>A quantised matrix as bare pointers, for kernels that read its codes themselves.</summary>
/// <remarks>The caller of the kernel keeps the matrix reachable. Its blocks end with a spare cache line that may be read.</remarks>
internal readonly unsafe struct PackedRows(QuantizedMatrix matrix)
{
    /// <summary>Columns that kernels take at once: 64 bytes of 4-bit codes.</summary>
    public const int Block = 128;

    public readonly byte* Codes = matrix.Codes;
    public readonly float* Scales = matrix.Scales;
    public readonly byte* Zeros = matrix.Zeros;
    public readonly long RowBytes = matrix.RowBytes;
    public readonly int Bits = matrix.Bits;
    public readonly int Columns = matrix.InDim;
    public readonly int GroupSize = matrix.GroupSize;
    public readonly int Groups = matrix.Groups;

    /// <summary>True where columns belong to groups in an order of their own.</summary>
    public readonly bool IsScattered = matrix.GroupIndexPointer is not null;

    /// <summary>Blocks of a row.</summary>
    public int Blocks => (Columns + Block - 1) / Block;

    /// <summary>True where a block lies in one group.</summary>
    public bool HasWholeBlocks => !IsScattered && (GroupSize % Block == 0 || Groups == 1);

    /// <summary>True where eight consecutive codes from a multiple of 8 on share a group.</summary>
    public bool HasWholeLanes => !IsScattered && (GroupSize % 8 == 0 || Groups == 1);

    /// <summary>Scales and zero points of four rows, block by block: [blocks, 8], the scales first.</summary>
    public void CopyFactors(long row, float* target)
    {
        int blocksOfGroup = Groups == 1 ? Blocks : GroupSize / Block;
        for (int r = 0; r < PackedKernelAssembler.Rows; r++)
        {
            float* scales = Scales + ((row + r) * Groups);
            byte* zeros = Zeros + ((row + r) * Groups);
            float* to = target + r;
            for (int group = 0, block = 0; group < Groups; group++)
            {
                (float scale, float zero) = (scales[group], zeros[group]);
                int end = Math.Min(Blocks, block + blocksOfGroup);
                for (; block < end; block++, to += 2 * PackedKernelAssembler.Rows)
                {
                    (to[0], to[PackedKernelAssembler.Rows]) = (scale, zero);
                }
            }
        }
    }
}
