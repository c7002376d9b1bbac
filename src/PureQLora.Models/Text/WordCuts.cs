namespace PureQLora.Models;

/// <summary>Places where a text may be cut before merging without changing a single id, so that words stay short and can be remembered.</summary>
/// <remarks>
/// Nothing merges across the place between two characters that stand side by side in no token. Of pairs with one outside ASCII only a
/// hash is kept, so a place may be missed, never invented. Both characters must be symbols: others turn into bytes, fuse or vanish.
/// </remarks>
internal sealed class WordCuts
{
    private const int HashBits = 20;
    private const int Ascii = 128;
    private readonly ulong[] _pairs = new ulong[Ascii * Ascii / 64];
    private readonly ulong[] _hashed = new ulong[(1 << HashBits) / 64];
    private readonly CharacterSet _symbols;

    /// <summary>Finds them.</summary>
    /// <param name="symbols">Code points that merging begins with.</param>
    /// <param name="tokens">All that merges can make.</param>
    public WordCuts(IEnumerable<int> symbols, IEnumerable<string> tokens)
    {
        HashSet<int> known = [.. symbols];
        _symbols = CharacterSet.Where(rune => known.Contains(rune.Value));
        foreach (string token in tokens)
        {
            for (int i = 1; i < token.Length; i++)
            {
                (ulong[] bits, uint place) = Locate(token[i - 1], token[i]);
                bits[place / 64] |= 1UL << (int)(place % 64);
            }
        }
    }

    /// <summary>The first place after <paramref name="start"/> to cut at, or the end of the text.</summary>
    public int Next(ReadOnlySpan<char> text, int start)
    {
        int at = start + 1;
        while (at < text.Length && !IsCut(text[at - 1], text[at]))
        {
            at++;
        }

        return at;
    }

    private bool IsCut(char left, char right)
    {
        (ulong[] bits, uint place) = Locate(left, right);
        return (bits[place / 64] >> (int)(place % 64) & 1) == 0 && _symbols.Contains(left) && _symbols.Contains(right);
    }

    private (ulong[] Bits, uint Place) Locate(char left, char right) => (left | right) < Ascii
        ? (_pairs, (uint)((left * Ascii) + right))
        : (_hashed, ((left * 0x9E3779B1u) + (right * 0x85EBCA6Bu)) >> (32 - HashBits));
}
