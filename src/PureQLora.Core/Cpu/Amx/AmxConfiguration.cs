using System.Buffers.Binary;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// The shape of the tile registers, the same for all kernels: eight tiles of 16 rows of 64 bytes. A thread loads it once, before its first
/// product, and keeps it; context switches, signals and collections leave it as it is.
/// </summary>
/// <remarks>Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, LDTILECFG.</remarks>
internal static unsafe class AmxConfiguration
{
    /// <summary>Bytes of a configuration.</summary>
    public const int Length = 64;

    private const int Tiles = 8;
    private const int RowBytesAt = 16;       // one 16-bit number a tile
    private const int RowsAt = 48;           // one byte a tile

    private static readonly KernelTable Kernels = new(2, static index => index == 0 ? GenerateLoad(new KernelAssembler()) : GenerateRelease(new KernelAssembler()));

    /// <summary>Gives this thread its tiles, all zero.</summary>
    public static void Load()
    {
        byte* configuration = stackalloc byte[Length];
        Write(new Span<byte>(configuration, Length));
        ((delegate* unmanaged<void*, void>)Kernels[0])(configuration);
    }

    /// <summary>Takes them away again.</summary>
    public static void Release() => ((delegate* unmanaged<void*, void>)Kernels[1])(null);

    /// <summary>Writes the configuration as the processor reads it.</summary>
    internal static void Write(Span<byte> configuration)
    {
        configuration.Clear();
        configuration[0] = 1;                // palette: 8 tiles of up to 1 KiB
        for (int tile = 0; tile < Tiles; tile++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(configuration[(RowBytesAt + (2 * tile))..], AmxKernels.TileRowBytes);
            configuration[RowsAt + tile] = AmxKernels.TileRows;
        }
    }

    internal static byte[] GenerateLoad(KernelAssembler kernel)
    {
        kernel.Code.ldtilecfg(__[r11]);
        return kernel.Assemble();
    }

    internal static byte[] GenerateRelease(KernelAssembler kernel)
    {
        kernel.Code.tilerelease();
        return kernel.Assemble();
    }
}
