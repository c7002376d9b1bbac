using System.Text;

namespace PureQLora.Models.Tests;

/// <summary>The table-driven matcher is held to the regular expression that it takes the place of.</summary>
public sealed class SequencePatternTests
{
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string Llama3 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Qwen = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Trained = @" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    // What the patterns tell apart, and what they might confuse: spaces of all kinds, letters with odd cases, code points above U+FFFF.
    private static readonly string[] Pieces =
    [
        " ", " ", "  ", "\n", "\r\n", "\t", "\u00A0", "\u0085", "\u2028", "\u3000", "\u200B", "'", "'s", "'S", "'ſ", "'LL", "'Re", "\u212A", "a", "Z", "é", "ß",
        "語", "1", "22", "333", "4444", "٣", "Ⅷ", "½", "²", "!", "?!", "«", "€", "\u0301", "\u200D", "Ⓐ", "_", "😀", "𝐀", "𠀀", "𝟏", "𐅀", "\U000E0101", "\uFFFD", "\0",
    ];

    [Theory]
    [InlineData(Gpt2)]
    [InlineData(Llama3)]
    [InlineData(Qwen)]
    [InlineData(Trained)]
    public void Find_GivenRandomText_ShouldMatchAsTheRegularExpression(string pattern)
    {
        JsonPart source = new(default, "test", "pattern");
        SequencePattern sequences = Assert.IsType<SequencePattern>(RegexPattern.Create(pattern, source));
        RegexPattern regex = new(pattern, source);
        Random random = new(17);
        for (int round = 0; round < 4000; round++)
        {
            StringBuilder text = new();
            for (int piece = random.Next(1, 24); piece > 0; piece--)
            {
                text.Append(random.Next(4) == 0 ? AnyCodePoint(random) : Pieces[random.Next(Pieces.Length)]);
            }

            AssertSame(regex, sequences, text.ToString());
        }

        AssertSame(regex, sequences, "");
    }

    [Fact]
    public void Find_GivenRandomPatterns_ShouldMatchAsTheRegularExpression()
    {
        string[] sets = ["a", "b", "[ab]", "[^a]", @"\s", @"\S", @"\p{L}", @"[\n ]", "[^ab]", @"\d"];
        string[] counts = ["", "", "?", "*", "+", "+", "{2}", "{1,3}", "{2,}"];
        Random random = new(5);
        int taken = 0;
        for (int round = 0; round < 200; round++)
        {
            IEnumerable<string> alternatives = Enumerable.Range(0, random.Next(1, 5)).Select(_ =>
                string.Concat(Enumerable.Range(0, random.Next(1, 5)).Select(_ => sets[random.Next(sets.Length)] + counts[random.Next(counts.Length)]))
                + (random.Next(3) == 0 ? $"(?!{sets[random.Next(sets.Length)]})" : ""));
            string pattern = string.Join('|', alternatives) + @"|\s|\S";
            JsonPart source = new(default, "test", "pattern");
            if (RegexPattern.Create(pattern, source) is not SequencePattern sequences)
            {
                continue;
            }

            taken++;
            RegexPattern regex = new(pattern, source);
            for (int text = 0; text < 40; text++)
            {
                AssertSame(regex, sequences, string.Concat(Enumerable.Range(0, random.Next(1, 20)).Select(_ => "aaabb \n1𝐀c"[random.Next(8)])), pattern);
            }
        }

        Assert.InRange(taken, 50, 199);
    }

    [Theory]
    [InlineData(@"\p{L}+")]                 // leaves gaps
    [InlineData(@"\p{L}+?|\s|\S")]          // as few as possible
    [InlineData(@"(?>\s+)|\S")]
    [InlineData(@"(?:ab)+|\s|\S")]
    [InlineData(@"(?<=a)b|\s|\S")]
    [InlineData(@"a*|\s|\S")]               // may be empty
    [InlineData(@"\s*\s*a|\s|\S")]          // would cost quadratic time
    [InlineData(@"\s*\s*(?!a)|\s|\S")]
    public void Create_GivenAnotherKind_ShouldTakeTheRegularExpression(string pattern)
    {
        Assert.IsType<RegexPattern>(RegexPattern.Create(pattern, new JsonPart(default, "test", "pattern")));
    }

    private static void AssertSame(RegexPattern regex, SequencePattern sequences, string text, string pattern = "")
    {
        List<(int Start, int End)> expected = [];
        List<(int Start, int End)> actual = [];
        text = WellFormedText.Repair(text);
        regex.Find(text, expected);
        sequences.Find(text, actual);
        Assert.True(expected.SequenceEqual(actual), $"{pattern} on {TokenizerJsonBuilder.Quote(text)}: {string.Join(' ', expected)} became {string.Join(' ', actual)}");
    }

    private static string AnyCodePoint(Random random)
    {
        int value = random.Next(3) == 0 ? random.Next(0x10000, 0x110000) : random.Next(0x10000);
        return Rune.IsValid(value) ? new Rune(value).ToString() : "x";
    }
}
