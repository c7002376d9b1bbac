using System.Globalization;

namespace PureQLora.Models;

/// <summary>Reads a translated pattern that is made of alternatives of repeated character sets; other patterns are not its business.</summary>
/// <param name="pattern">What <see cref="RegexTranslator"/> wrote: letters, digits and <c>\uXXXX</c> for literals, sets in brackets.</param>
/// <param name="standIns">Characters that stand for code points above U+FFFF.</param>
internal sealed class SequenceParser(string pattern, StandIns standIns)
{
    private const int MaxItems = 16;     // of a sequence; matching goes one call deeper for each
    private readonly Dictionary<string, CharacterSet> _sets = [];
    private int _at;

    /// <summary>The alternatives in order, or null where the pattern is of another kind.</summary>
    public List<Sequence>? Parse()
    {
        List<Sequence> sequences = [];
        return TryAlternatives(sequences) && _at == pattern.Length ? sequences : null;
    }

    private bool TryAlternatives(List<Sequence> sequences)
    {
        do
        {
            // A group that is a whole alternative: its own alternatives take its place.
            bool done = Take("(?:") ? TryAlternatives(sequences) && Take(")") : TrySequence(sequences);
            if (!done || !AtEnd())
            {
                return false;
            }
        }
        while (Take("|"));
        return true;
    }

    private bool TrySequence(List<Sequence> sequences)
    {
        List<SequenceItem> items = [];
        CharacterSet? notBefore = null;
        while (!AtEnd())
        {
            if (notBefore is not null || items.Count == MaxItems)
            {
                return false;
            }

            if (Take("(?!"))
            {
                notBefore = Set();
                if (notBefore is null || !Take(")"))
                {
                    return false;
                }
            }
            else if (Set() is CharacterSet set && TryCount(out int minimum, out int maximum))
            {
                items.Add(new SequenceItem(set, minimum, maximum));
            }
            else
            {
                return false;
            }
        }

        sequences.Add(new Sequence([.. items], notBefore, standIns));
        return items.Any(item => item.Minimum > 0);
    }

    /// <summary>A literal, an escape or a class, or null.</summary>
    private CharacterSet? Set()
    {
        ReadOnlySpan<char> rest = pattern.AsSpan(_at);
        int length = rest.IsEmpty ? 0
            : rest[0] == '[' ? rest.IndexOf(']') + 1     // a ] inside is spelled \u005D
            : rest.StartsWith(@"\u") ? 6
            : rest.StartsWith(@"\p") || rest.StartsWith(@"\P") ? rest.IndexOf('}') + 1
            : rest[0] == '\\' ? 2
            : char.IsAsciiLetterOrDigit(rest[0]) ? 1
            : 0;
        if (length == 0)
        {
            return null;
        }

        string expression = rest[..length].ToString();
        _at += length;
        if (!_sets.TryGetValue(expression, out CharacterSet? set))
        {
            set = CharacterSet.Matching(expression);
            _sets.Add(expression, set);
        }

        return set;
    }

    private bool TryCount(out int minimum, out int maximum)
    {
        (minimum, maximum) = Take("*") ? (0, SequenceItem.Unbounded) : Take("+") ? (1, SequenceItem.Unbounded) : Take("?") ? (0, 1) : (1, 1);
        if (Take("{"))
        {
            string[] bounds = pattern[_at..pattern.IndexOf('}', _at)].Split(',');
            _at = pattern.IndexOf('}', _at) + 1;
            minimum = int.Parse(bounds[0], CultureInfo.InvariantCulture);
            maximum = bounds.Length == 1 ? minimum : bounds[1].Length == 0 ? SequenceItem.Unbounded : int.Parse(bounds[1], CultureInfo.InvariantCulture);
        }

        return minimum <= maximum && !Take("?");     // a ? here would mean as few as possible
    }

    private bool AtEnd() => _at == pattern.Length || pattern[_at] is '|' or ')';

    private bool Take(string expected)
    {
        bool found = string.CompareOrdinal(pattern, _at, expected, 0, expected.Length) == 0;
        _at += found ? expected.Length : 0;
        return found;
    }
}
