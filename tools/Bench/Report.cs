using System.Globalization;

namespace PureQLora.Tools.Bench;

/// <summary>Lines of figures, the same whatever the culture.</summary>
internal static class Report
{
    /// <summary>Prints a line.</summary>
    public static void Line(FormattableString line) => System.Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    /// <summary>Prints one sentence about a peer that is not there; never an error.</summary>
    public static void Missing(string sentence) => System.Console.WriteLine($"no peer: {sentence}");

    /// <summary>A share, such as <c>83 %</c>.</summary>
    public static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:F0} %");

    /// <summary>How many times faster we are, to put behind a peer's figures.</summary>
    public static string Ratio(double ratio) => string.Create(CultureInfo.InvariantCulture, $"; ours is {ratio:F2} times as fast");
}
