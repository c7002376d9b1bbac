using System.Text;

namespace PureQLora.Models;

/// <summary>Looks for code points of a class: one match each, or one a run.</summary>
internal sealed class RunePattern(Func<Rune, bool> isMatch, bool runs = false) : TextPattern
{
    /// <inheritdoc/>
    public override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        int start = 0;
        bool inRun = false;
        foreach (Rune rune in text.EnumerateRunes())
        {
            int end = start + rune.Utf16SequenceLength;
            bool match = isMatch(rune);
            if (match && inRun && runs)
            {
                matches[^1] = (matches[^1].Start, end);
            }
            else if (match)
            {
                matches.Add((start, end));
            }

            (start, inRun) = (end, match);
        }
    }
}
