using System.Text;

namespace PureQLora.Models;

/// <summary>Looks for code points of a class: one match each, or one a run.</summary>
internal sealed class RunePattern(Func<Rune, bool> isMatch, bool runs = false) : TextPattern
{
    private readonly CharacterSet _below = CharacterSet.Where(isMatch);

    /// <inheritdoc/>
    public override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        bool inRun = false;
        for (int start = 0, end; start < text.Length; start = end)
        {
            bool pair = char.IsHighSurrogate(text[start]);
            end = start + (pair ? 2 : 1);
            bool match = pair ? isMatch(new Rune(text[start], text[start + 1])) : _below.Contains(text[start]);
            if (match && inRun && runs)
            {
                matches[^1] = (matches[^1].Start, end);
            }
            else if (match)
            {
                matches.Add((start, end));
            }

            inRun = match;
        }
    }
}
