namespace PureQLora.Core;

/// <summary>Brain floating point: the upper 16 bits of an IEEE 754 binary32.</summary>
/// <param name="Bits">Sign, 8 exponent bits, 7 fraction bits.</param>
public readonly record struct BFloat16(ushort Bits)
{
    /// <summary>Rounds to the nearest value, ties to even; a NaN stays a (quiet) NaN.</summary>
    public static explicit operator BFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value)
            ? new BFloat16((ushort)((bits >> 16) | 0x40))
            : new BFloat16((ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
    }

    /// <summary>Exact.</summary>
    public static implicit operator float(BFloat16 value) => BitConverter.UInt32BitsToSingle((uint)value.Bits << 16);

    /// <summary>The binary32 value nearest to <paramref name="value"/> that a <see cref="BFloat16"/> can hold.</summary>
    public static float Round(float value) => (BFloat16)value;

    /// <inheritdoc/>
    public override string ToString() => ((float)this).ToString(System.Globalization.CultureInfo.InvariantCulture);
}
