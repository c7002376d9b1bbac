using System.Text;

namespace PureQLora.Models;

/// <summary>Repeated characters one after another, as <c> ?\p{L}+</c> or <c>\s+(?!\S)</c>: one alternative of a <see cref="SequencePattern"/>.</summary>
/// <param name="items">At least one of them has a minimum above zero.</param>
/// <param name="notBefore">What must not follow, or null.</param>
/// <param name="standIns">Characters that stand for code points above U+FFFF.</param>
internal sealed class Sequence(SequenceItem[] items, CharacterSet? notBefore, StandIns standIns)
{
    private readonly SequenceItem[] _items = items;
    private readonly bool[] _givesBack = [.. items.Select((_, index) => GivesBack(items, index, notBefore))];

    /// <summary>
    /// Whether a match costs linear time: what an unbounded repetition tries anew for each character that it gives back is bounded,
    /// or ends the match.
    /// </summary>
    public bool IsLinear => !Enumerable.Range(0, _items.Length).Any(index => _givesBack[index] && _items[index].Maximum == SequenceItem.Unbounded
        && _items.Skip(index + 1).SkipLast(notBefore is null ? 1 : 0).Any(later => later.Maximum == SequenceItem.Unbounded));

    /// <summary>What every text matches that begins with it, or null where there is no such set.</summary>
    public CharacterSet? AlwaysMatched =>
        notBefore is null && _items.Count(item => item.Minimum > 0) == 1 && _items.First(item => item.Minimum > 0) is { Minimum: 1 } item ? item.Set : null;

    /// <summary>Whether a match can begin with a character.</summary>
    public bool CanBeginWith(char character)
    {
        foreach (SequenceItem item in _items)
        {
            if (item.Set.Contains(character))
            {
                return true;
            }

            if (item.Minimum > 0)
            {
                break;
            }
        }

        return false;
    }

    /// <summary>End of the match that begins at a place, or −1. Each repetition takes what it can, then gives back until the rest matches.</summary>
    public int Match(ReadOnlySpan<char> text, int start) => Match(text, start, 0);

    private int Match(ReadOnlySpan<char> text, int at, int index)
    {
        if (index == _items.Length)
        {
            return notBefore is not null && at < text.Length && Step(notBefore, text, at) > 0 ? -1 : at;
        }

        SequenceItem item = _items[index];
        int count = 0;
        for (int step; count < item.Maximum && at < text.Length && (step = Step(item.Set, text, at)) > 0; count++)
        {
            at += step;
        }

        if (count < item.Minimum)
        {
            return -1;
        }

        int end = Match(text, at, index + 1);
        while (end < 0 && count > item.Minimum && _givesBack[index])
        {
            at -= char.IsLowSurrogate(text[at - 1]) ? 2 : 1;
            count--;
            end = Match(text, at, index + 1);
        }

        return end;
    }

    /// <summary>Length of the code point at a place if the set holds it, else 0.</summary>
    private int Step(CharacterSet set, ReadOnlySpan<char> text, int at)
    {
        char character = text[at];
        return set.Contains(character) ? 1 : char.IsHighSurrogate(character) && set.Contains(StandIn(text, at)) ? 2 : 0;
    }

    private char StandIn(ReadOnlySpan<char> text, int at) => standIns.Of(new Rune(text[at], text[at + 1]));

    /// <summary>Whether fewer repetitions could let the rest match: not where what follows never takes a character of this set.</summary>
    private static bool GivesBack(SequenceItem[] items, int index, CharacterSet? notBefore)
    {
        for (int next = index + 1; next < items.Length; next++)
        {
            if (items[index].Set.Overlaps(items[next].Set))
            {
                return true;
            }

            if (items[next].Minimum > 0)
            {
                return false;
            }
        }

        return notBefore is not null;
    }
}
