using System.Text.RegularExpressions;

namespace PureQLora.Training;

/// <summary>The calculator annotations of GSM8K, <c>&lt;&lt;48/2=24&gt;&gt;</c>, which stand before the result they explain.</summary>
/// <remarks>Cobbe et al., arXiv:2110.14168, section 2.</remarks>
public static partial class CalculatorMarks
{
    /// <summary>The text without its marks.</summary>
    public static string Remove(string text) => text.Contains("<<", StringComparison.Ordinal) ? Mark().Replace(text, "") : text;

    [GeneratedRegex(@"<<[^<>\n]*>>")]
    private static partial Regex Mark();
}
