namespace PureQLora.Tools.Bench;

/// <summary>What vendors' data sheets promise of dense bfloat16 products with float32 sums.</summary>
internal static class NominalPeak
{
    private const double Tera = 1e12;

    private static readonly (string Name, double Rate)[] Rates =
    [
        ("H200", 989 * Tera), ("GH200", 989 * Tera), ("H100 PCIe", 756 * Tera), ("H100 NVL", 835 * Tera), ("H100", 989 * Tera), ("H800", 989 * Tera),
        ("A100", 312 * Tera), ("A800", 312 * Tera), ("A30", 165 * Tera), ("A10", 125 * Tera), ("A40", 150 * Tera), ("A6000", 155 * Tera),
        ("L40S", 362 * Tera), ("L40", 181 * Tera), ("L4", 121 * Tera), ("RTX 4090", 165 * Tera), ("RTX 4080", 97 * Tera), ("RTX 3090", 71 * Tera),
    ];

    /// <summary>Multiplications and additions a second of a GPU of that name; null where it is not in the list.</summary>
    public static double? Of(string description) =>
        Rates.FirstOrDefault(entry => description.Contains(entry.Name, StringComparison.OrdinalIgnoreCase)) is { Rate: > 0 } found ? found.Rate : null;
}
