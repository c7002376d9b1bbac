namespace PureQLora.Core;

/// <summary>A quantised matrix as bare pointers, for kernels that read its codes themselves.</summary>
/// <remarks>The caller of the kernel keeps the matrix reachable. Its blocks end with a spare cache line that may be read.</remarks>
internal readonly unsafe struct PackedRows(QuantizedMatrix matrix)
{
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

    /// <summary>True where eight consecutive codes from a multiple of 8 on share a group.</summary>
    public bool HasWholeLanes => !IsScattered && (GroupSize % 8 == 0 || Groups == 1);
}
