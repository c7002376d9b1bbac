using System.Text.RegularExpressions;

namespace PureQLora.Training;

/// <summary>
/// The metric <c>exact_match</c> of lm-evaluation-harness as its GSM8K tasks configure it: prediction and reference are cleaned alike,
/// put into lower case and compared as strings.
/// </summary>
public static partial class ExactMatch
{
    private const string Marker = "#### ";

    /// <summary>Whether the two texts are equal after <see cref="Clean"/>.</summary>
    /// <param name="prediction">The extracted answer.</param>
    /// <param name="reference">The reference; for GSM8K the whole solution, which the clean-up cuts down to its number.</param>
    public static bool AreEqual(string prediction, string reference) => Clean(prediction) == Clean(reference);

    /// <summary>
    /// Deletes, in this order, <c>,</c>, then <c>$</c>, then everything up to the last <c>#### </c>, then a full stop at the end
    /// (before a closing newline too, as Python's <c>$</c> matches there), and lowers the case.
    /// </summary>
    /// <param name="text">A prediction or a reference.</param>
    public static string Clean(string text)
    {
        // The harness keeps its strings in NumPy arrays after every replacement, and those drop NUL characters at the end.
        string cleaned = text.Replace(",", "", StringComparison.Ordinal).TrimEnd('\0');
        cleaned = cleaned.Replace("$", "", StringComparison.Ordinal).TrimEnd('\0');

        // (?s).*####  is greedy: one match, from the start to the end of the last marker.
        int marker = cleaned.LastIndexOf(Marker, StringComparison.Ordinal);
        cleaned = marker < 0 ? cleaned : cleaned[(marker + Marker.Length)..];
        return FinalFullStop().Replace(cleaned, "").TrimEnd('\0').ToLowerInvariant();
    }

    [GeneratedRegex(@"\.$")]
    private static partial Regex FinalFullStop();
}
