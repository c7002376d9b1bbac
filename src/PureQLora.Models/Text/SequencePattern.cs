namespace PureQLora.Models;

/// <summary>A pattern that cuts a text into words without gaps: alternatives of repeated character sets, the first that matches counts.</summary>
/// <remarks>
/// The patterns of GPT-2, Llama 3 and Qwen are of this kind. Matches are those of <see cref="RegexPattern"/>; a set is a table, and only
/// alternatives that can begin with the next character are tried.
/// </remarks>
internal sealed class SequencePattern : TextPattern
{
    private readonly Sequence[] _sequences;
    private readonly Sequence[][] _byFirst = new Sequence[128][];   // for ASCII, the sequences that can begin with it

    private SequencePattern(Sequence[] sequences)
    {
        _sequences = sequences;
        for (int value = 0; value < _byFirst.Length; value++)
        {
            _byFirst[value] = [.. sequences.Where(sequence => sequence.CanBeginWith((char)value))];
        }
    }

    /// <summary>Reads a pattern, or gives null where it is of another kind.</summary>
    /// <param name="translated">The pattern in .NET syntax, as <see cref="RegexTranslator"/> writes it.</param>
    /// <param name="standIns">Characters that stand for code points above U+FFFF.</param>
    public static SequencePattern? TryCreate(string translated, StandIns standIns) =>
        new SequenceParser(translated, standIns).Parse() is { } sequences && sequences.All(sequence => sequence.IsLinear) && CoverEverything(sequences)
            ? new SequencePattern([.. sequences])
            : null;

    /// <summary>End of the word that begins at a place inside of the text.</summary>
    public int EndOfWord(ReadOnlySpan<char> text, int start)
    {
        char first = text[start];
        foreach (Sequence sequence in first < _byFirst.Length ? _byFirst[first] : _sequences)
        {
            if (sequence.Match(text, start) is var end and >= 0)
            {
                return end;
            }
        }

        throw new ArgumentException($"No word begins at {start}; the text has half a surrogate pair.", nameof(text));
    }

    /// <inheritdoc/>
    public override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = EndOfWord(text, start);
            matches.Add((start, end));
        }
    }

    private static bool CoverEverything(List<Sequence> sequences)
    {
        CharacterSet[] always = [.. sequences.Select(sequence => sequence.AlwaysMatched).OfType<CharacterSet>()];
        for (int value = 0; value < 0x10000; value++)
        {
            if (!char.IsSurrogate((char)value) && !always.Any(set => set.Contains((char)value)))
            {
                return false;
            }
        }

        return true;
    }
}
