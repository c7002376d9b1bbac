using System.Numerics;

namespace PureQLora.Training;

/// <summary>The checksum of TFRecord files: CRC-32C (Castagnoli), rotated and offset.</summary>
/// <remarks>TensorFlow, core/lib/hash/crc32c.h: masked so that a checksum of data that hold checksums stays sound.</remarks>
internal static class MaskedCrc32C
{
    private const uint MaskDelta = 0xa282ead8;

    /// <summary>Masked checksum: ((crc ≫ 15) | (crc ≪ 17)) + 0xa282ead8.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => BitOperations.RotateRight(Crc(data), 15) + MaskDelta;

    /// <summary>Plain CRC-32C, initial value and final complement included.</summary>
    public static uint Crc(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return ~crc;
    }
}
