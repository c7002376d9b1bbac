namespace PureQLora.Models;

/// <summary>Lets text through up to the first stop string; text that could be the beginning of one is held back.</summary>
/// <param name="stopStrings">None empty.</param>
internal sealed class StopStringMatcher(IReadOnlyList<string> stopStrings)
{
    private string _held = "";

    /// <summary>True once a stop string has come; from then on no text is let through.</summary>
    public bool Found { get; private set; }

    /// <summary>Adds text and returns what surely stands before any stop string.</summary>
    public string Append(string text)
    {
        if (Found || text.Length == 0)
        {
            return "";
        }

        string pending = _held + text;
        int end = -1;
        foreach (string stop in stopStrings)
        {
            int start = pending.IndexOf(stop, StringComparison.Ordinal);
            end = start >= 0 && (end < 0 || start < end) ? start : end;
        }

        Found = end >= 0;
        int free = Found ? end : pending.Length - HeldLength(pending);
        _held = Found ? "" : pending[free..];
        return pending[..free];
    }

    /// <summary>Ends the text and returns what was held back.</summary>
    public string Flush()
    {
        (string held, _held) = (_held, "");
        return held;
    }

    /// <summary>Length of the longest end of the text that begins a stop string.</summary>
    private int HeldLength(ReadOnlySpan<char> text)
    {
        int longest = 0;
        foreach (string stop in stopStrings)
        {
            for (int length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
            {
                if (text.EndsWith(stop.AsSpan(0, length), StringComparison.Ordinal))
                {
                    longest = length;
                }
            }
        }

        return longest;
    }
}
