using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A regular expression of a <c>tokenizer.json</c>, on code points.</summary>
/// <remarks>
/// .NET matches UTF-16 units, so a code point above U+FFFF would be two surrogates and no letter. Each is therefore matched through a
/// stand-in: a character below U+10000 of the same general category that the pattern does not mention.
/// </remarks>
internal sealed class RegexPattern : TextPattern
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);   // for one match; a sane pattern takes microseconds
    private readonly Regex _regex;
    private readonly char[] _standIns;      // by UnicodeCategory

    /// <summary>Translates a pattern.</summary>
    /// <param name="pattern">Oniguruma or Rust syntax.</param>
    /// <param name="source">Where it stands, for messages.</param>
    /// <exception cref="UserErrorException">It uses what is not supported.</exception>
    public RegexPattern(string pattern, JsonPart source)
    {
        RegexTranslator translator = new(pattern, source);
        try
        {
            _regex = new Regex(translator.Translate(), RegexOptions.CultureInvariant | RegexOptions.Compiled, Patience);
        }
        catch (ArgumentException exception)
        {
            throw source.Error($"is not a valid pattern ({exception.Message.TrimEnd('.')}); correct it");
        }

        _standIns = FindStandIns(translator, source);
    }

    /// <inheritdoc/>
    public override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        try
        {
            if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
            {
                foreach (ValueMatch match in _regex.EnumerateMatches(text))
                {
                    matches.Add((match.Index, match.Index + match.Length));
                }
            }
            else
            {
                FindThroughStandIns(text, matches);
            }
        }
        catch (RegexMatchTimeoutException exception)
        {
            throw new UserErrorException($"The pattern '{_regex}' took more than {Patience.TotalSeconds} s on one match; use a tokenizer whose pattern does not backtrack so much.", exception);
        }
    }

    private void FindThroughStandIns(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        char[] buffer = ArrayPool<char>.Shared.Rent(text.Length);
        int length = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            buffer[length++] = rune.IsBmp ? (char)rune.Value : _standIns[(int)Rune.GetUnicodeCategory(rune)];
        }

        int place = 0;      // in code points, and the same place in characters
        int offset = 0;
        foreach (ValueMatch match in _regex.EnumerateMatches(buffer.AsSpan(0, length)))
        {
            int start = Advance(text, match.Index, ref place, ref offset);
            matches.Add((start, Advance(text, match.Index + match.Length, ref place, ref offset)));
        }

        ArrayPool<char>.Shared.Return(buffer);
    }

    private static int Advance(ReadOnlySpan<char> text, int target, ref int place, ref int offset)
    {
        for (; place < target; place++)
        {
            offset += char.IsHighSurrogate(text[offset]) ? 2 : 1;
        }

        return offset;
    }

    private static char[] FindStandIns(RegexTranslator translator, JsonPart source)
    {
        char[] standIns = new char[(int)UnicodeCategory.OtherNotAssigned + 1];
        for (int value = 0x80; value <= 0xFFFF; value++)
        {
            ref char standIn = ref standIns[(int)CharUnicodeInfo.GetUnicodeCategory((char)value)];
            if (standIn == 0 && !translator.Mentions((char)value) && value is not (>= 0x24B6 and <= 0x24E9 or 0x200C or 0x200D))
            {
                standIn = (char)value;
            }
        }

        // Every category has members above U+FFFF, save spaces, controls and surrogates.
        for (UnicodeCategory category = 0; category <= UnicodeCategory.OtherNotAssigned; category++)
        {
            bool onlyBelow = category is UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Control or UnicodeCategory.Surrogate;
            if (standIns[(int)category] == 0 && !onlyBelow)
            {
                throw source.Error($"mentions every character of category {category}, which is not supported; use \\p{{…}} classes instead of ranges");
            }
        }

        return standIns;
    }
}
