namespace PureQLora.Core;

/// <summary>Layout of packed bfloat16 operands, the same for <c>vdpbf16ps</c> and for AMX tiles.</summary>
internal static class BFloat16Panels
{
    /// <summary>Inner elements of a packed block: a right panel of it is 32 KiB, two thirds of an L1 cache.</summary>
    public const int InnerBlock = 512;

    /// <summary>Columns of a right panel.</summary>
    public const int Columns = 32;

    /// <summary>Bytes of one pair of inner elements in a right panel.</summary>
    public const int PairBytes = Columns * 2 * sizeof(ushort);

    /// <summary>Bytes from a left row to the next: a block and one cache line, so that rows fall into different sets of the cache.</summary>
    public const int LeftStride = (InnerBlock * sizeof(ushort)) + 64;
}
