using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>What a tile kernel reads, at fixed offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TileArguments
{
    /// <summary>Rows of bfloat16, <see cref="BFloat16Panels.LeftStride"/> bytes apart.</summary>
    public byte* Left;

    /// <summary>[pairs, 32 columns, 2] bfloat16.</summary>
    public byte* Right;

    /// <summary>Pairs of inner elements, above 0.</summary>
    public long Pairs;

    /// <summary>Result, float32.</summary>
    public float* C;

    /// <summary>Bytes from a row of c to the next.</summary>
    public long StrideBytes;

    /// <summary>Factor of the product.</summary>
    public float Alpha;
}
