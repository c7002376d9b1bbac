using System.Buffers;
using System.Text;
using System.Text.RegularExpressions;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A regular expression of a <c>tokenizer.json</c>, on code points.</summary>
/// <remarks>
/// Takes every pattern that <see cref="RegexTranslator"/> does. The usual ones are matched by <see cref="SequencePattern"/>, which is
/// several times faster and held to this class by tests.
/// </remarks>
internal sealed class RegexPattern : TextPattern
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);   // for one match; a sane pattern takes microseconds
    private readonly Regex _regex;
    private readonly StandIns _standIns;

    /// <summary>Translates a pattern.</summary>
    /// <param name="pattern">Oniguruma or Rust syntax.</param>
    /// <param name="source">Where it stands, for messages.</param>
    /// <exception cref="UserErrorException">It uses what is not supported.</exception>
    public RegexPattern(string pattern, JsonPart source)
    {
        RegexTranslator translator = new(pattern, source);
        (_regex, _standIns) = (Compile(translator.Translate(), source), new StandIns(translator, source));
    }

    /// <summary>The quickest way to match a pattern.</summary>
    /// <param name="pattern">Oniguruma or Rust syntax.</param>
    /// <param name="source">Where it stands, for messages.</param>
    /// <exception cref="UserErrorException">It uses what is not supported.</exception>
    public static TextPattern Create(string pattern, JsonPart source)
    {
        RegexTranslator translator = new(pattern, source);
        string translated = translator.Translate();
        return SequencePattern.TryCreate(translated, new StandIns(translator, source)) ?? (TextPattern)new RegexPattern(pattern, source);
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

    private static Regex Compile(string translated, JsonPart source)
    {
        try
        {
            return new Regex(translated, RegexOptions.CultureInvariant | RegexOptions.Compiled, Patience);
        }
        catch (ArgumentException exception)
        {
            throw source.Error($"is not a valid pattern ({exception.Message.TrimEnd('.')}); correct it");
        }
    }

    private void FindThroughStandIns(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        char[] buffer = ArrayPool<char>.Shared.Rent(text.Length);
        int length = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            buffer[length++] = _standIns.Of(rune);
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
}
