namespace PureQLora.Models;

/// <summary>The code points of a normalization form that need a look at their neighbours or change by themselves.</summary>
/// <remarks>All others are what Unicode Standard Annex #15 calls a boundary before, and normalized: text may be cut before them.</remarks>
internal sealed class UnstableCodePoints
{
    private readonly CharacterSet _below;
    private readonly HashSet<int> _above;

    public UnstableCodePoints(IEnumerable<int> codePoints)
    {
        HashSet<int> all = [.. codePoints];
        _below = CharacterSet.Where(rune => all.Contains(rune.Value));
        _above = [.. all.Where(codePoint => codePoint > 0xFFFF)];
    }

    /// <summary>The first of them at or after a place, or the end of the text.</summary>
    public int Find(ReadOnlySpan<char> text, int from) => Move(text, from, overUnstable: false);

    /// <summary>The first other code point at or after a place, or the end of the text.</summary>
    public int SkipFrom(ReadOnlySpan<char> text, int from) => Move(text, from, overUnstable: true);

    private int Move(ReadOnlySpan<char> text, int at, bool overUnstable)
    {
        while (at < text.Length)
        {
            bool pair = char.IsHighSurrogate(text[at]);
            bool unstable = pair ? _above.Contains(char.ConvertToUtf32(text[at], text[at + 1])) : _below.Contains(text[at]);
            if (unstable != overUnstable)
            {
                break;
            }

            at += pair ? 2 : 1;
        }

        return at;
    }
}
