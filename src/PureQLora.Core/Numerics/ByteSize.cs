using System.Globalization;

namespace PureQLora.Core;

/// <summary>Sizes of memory in words.</summary>
public static class ByteSize
{
    /// <summary>A size in binary units, such as <c>1.46 MiB</c>.</summary>
    /// <param name="bytes">Not negative.</param>
    public static string Text(long bytes) => bytes switch
    {
        >= 1L << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):F2} GiB"),
        >= 1L << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):F2} MiB"),
        >= 1L << 10 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 10):F1} KiB"),
        _ => $"{bytes} B",
    };
}
