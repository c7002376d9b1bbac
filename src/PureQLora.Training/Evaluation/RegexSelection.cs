using System.Text.RegularExpressions;

namespace PureQLora.Training;

/// <summary>Which of a pattern's matches a scoring rule takes; null where there is none.</summary>
internal static class RegexSelection
{
    /// <summary>First group of the first match.</summary>
    public static string? FirstGroup(this Regex pattern, string text)
    {
        Match match = pattern.Match(text);
        return match.Success ? match.Groups[1].Value : null;
    }

    /// <summary>First group of the last match, matches counted from the left as Python's <c>findall</c> does.</summary>
    public static string? LastGroup(this Regex pattern, string text)
    {
        string? last = null;
        for (Match match = pattern.Match(text); match.Success; match = match.NextMatch())
        {
            last = match.Groups[1].Value;
        }

        return last;
    }

    /// <summary>The last match as a whole.</summary>
    public static string? LastValue(this Regex pattern, string text)
    {
        string? last = null;
        foreach (ValueMatch match in pattern.EnumerateMatches(text))
        {
            last = text.Substring(match.Index, match.Length);
        }

        return last;
    }
}
