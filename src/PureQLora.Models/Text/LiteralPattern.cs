namespace PureQLora.Models;

/// <summary>Looks for one string, character by character.</summary>
internal sealed class LiteralPattern(string literal) : TextPattern
{
    /// <inheritdoc/>
    public override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        int start = 0;
        for (int found = text.IndexOf(literal, StringComparison.Ordinal); found >= 0; found = text[start..].IndexOf(literal, StringComparison.Ordinal))
        {
            matches.Add((start + found, start + found + literal.Length));
            start += found + literal.Length;
        }
    }

    /// <inheritdoc/>
    public override string Replace(string text, string replacement) => text.Replace(literal, replacement, StringComparison.Ordinal);
}
