using System.Runtime.InteropServices;
using PureQLora.Kernels.Simulation.Memory;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>An asynchronous copy under way.</summary>
/// <param name="Region">Where it goes.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Size">Bytes, up to 16.</param>
/// <param name="Value">The bytes.</param>
/// <param name="Site">Where it was issued.</param>
internal readonly record struct PendingCopy(MemoryRegion Region, long Offset, int Size, UInt128 Value, int Site)
{
    /// <summary>A value of up to 16 bytes as 16 bytes.</summary>
    public static UInt128 Pack<T>(T value)
        where T : unmanaged
    {
        UInt128 packed = default;
        MemoryMarshal.Write(MemoryMarshal.AsBytes(new Span<UInt128>(ref packed)), value);
        return packed;
    }

    /// <summary>Writes the bytes.</summary>
    public void Complete()
    {
        UInt128 value = Value;
        MemoryMarshal.AsBytes(new Span<UInt128>(ref value))[..Size].CopyTo(Region.Bytes(Offset, Size));
    }
}
