using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Element types of the safetensors format, in the order by which its reference implementation sorts tensors (the last first).</summary>
public enum SafetensorsType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Unsigned 8-bit integers.</summary>
    U8,

    /// <summary>Signed 8-bit integers.</summary>
    I8,

    /// <summary>8-bit floats with 5 exponent bits; readable as bytes only.</summary>
    F8E5M2,

    /// <summary>8-bit floats with 4 exponent bits; readable as bytes only.</summary>
    F8E4M3,

    /// <summary>Signed 16-bit integers.</summary>
    I16,

    /// <summary>Unsigned 16-bit integers.</summary>
    U16,

    /// <summary>IEEE 754 binary16.</summary>
    F16,

    /// <summary>Upper half of a binary32.</summary>
    BF16,

    /// <summary>Signed 32-bit integers.</summary>
    I32,

    /// <summary>Unsigned 32-bit integers.</summary>
    U32,

    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>IEEE 754 binary64.</summary>
    F64,

    /// <summary>Signed 64-bit integers.</summary>
    I64,

    /// <summary>Unsigned 64-bit integers.</summary>
    U64,
}

/// <summary>Facts about a <see cref="SafetensorsType"/>.</summary>
public static class SafetensorsTypeExtensions
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this SafetensorsType type) => type switch
    {
        <= SafetensorsType.F8E4M3 => 1,
        <= SafetensorsType.BF16 => 2,
        <= SafetensorsType.F32 => 4,
        _ => 8,
    };

    /// <summary>The name in the file.</summary>
    public static string ToName(this SafetensorsType type) => type switch
    {
        SafetensorsType.Bool => "BOOL",
        SafetensorsType.F8E5M2 => "F8_E5M2",
        SafetensorsType.F8E4M3 => "F8_E4M3",
        _ => type.ToString(),
    };

    /// <summary>The type of that name in a file, or null.</summary>
    public static SafetensorsType? Parse(string name)
    {
        foreach (SafetensorsType type in Enum.GetValues<SafetensorsType>())
        {
            if (type.ToName() == name)
            {
                return type;
            }
        }

        return null;
    }

    /// <summary>The tensor type of the same bytes, or null where there is none.</summary>
    public static DataType? ToDataType(this SafetensorsType type) => type switch
    {
        SafetensorsType.F32 => DataType.Float32,
        SafetensorsType.BF16 => DataType.BFloat16,
        SafetensorsType.F16 => DataType.Float16,
        SafetensorsType.I32 => DataType.Int32,
        _ => null,
    };

    /// <summary>The file's type of the same bytes.</summary>
    public static SafetensorsType ToSafetensorsType(this DataType type) => type switch
    {
        DataType.Float32 => SafetensorsType.F32,
        DataType.BFloat16 => SafetensorsType.BF16,
        DataType.Float16 => SafetensorsType.F16,
        _ => SafetensorsType.I32,
    };
}
