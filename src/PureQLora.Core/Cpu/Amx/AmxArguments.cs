using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>What a kernel of <see cref="AmxKernels"/> reads, at fixed offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct AmxArguments
{
    /// <summary>Rows of bfloat16, <see cref="BFloat16Panels.LeftStride"/> bytes apart; 16 or 32 of them are read.</summary>
    public byte* Left;

    /// <summary>[pairs, 32 columns, 2] bfloat16.</summary>
    public byte* Right;

    /// <summary>Where <see cref="Left"/> is after the last whole step; there may be none.</summary>
    public byte* LeftEnd;

    /// <summary>[16 or 32 rows, 16 pairs, 2] bfloat16: a last step filled up with zeros; null where there is none.</summary>
    public byte* PaddedLeft;

    /// <summary>[16 pairs, 32 columns, 2] bfloat16 of that step.</summary>
    public byte* PaddedRight;

    /// <summary>[16 or 32 rows, 32 columns] float32.</summary>
    public float* Sums;

    /// <summary>Memory that is needed soon: 256 bytes a step are brought into the L2 cache. May be any address.</summary>
    public byte* Next;
}
