using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class RegexPatternTests
{
    [Theory]
    [InlineData(@"\p{L}+", "a𝐀𠀀 b", "a𝐀𠀀|b")]
    [InlineData(@"\p{N}{1,3}", "12345𝟏𝟐", "123|45𝟏|𝟐")]
    [InlineData(@"[^\s\p{L}\p{N}]+", "a😀!b", "😀!")]
    [InlineData(@"(?i:'s|'k|'ll)", "it'S it'ſ it'\u212A we'lL", "'S|'ſ|'\u212A|'lL")]
    [InlineData(@"(?i)[b-d]x", "BX cx ax", "BX|cx")]
    [InlineData(@"\s+(?!\S)|\s+", "a   b ", "  | | ")]
    [InlineData(@"a?+ab|b", "ab", "b")]
    [InlineData(@"a++b", "aab", "aab")]
    [InlineData(@"(?>a|ab)c", "abc ac", "ac")]
    [InlineData(@"[\p{Lu}\p{Lt}]+[^\S\r\n]", "AB \nC\n", "AB ")]
    [InlineData(@"\x41|\x{42}|\u0043|\-", "ABC-", "A|B|C|-")]
    [InlineData(@"[\w]+", "a_é1-b", "a_é1|b")]
    [InlineData(@"\P{L}\p{^L}", "a12b", "12")]
    [InlineData(@"^b$", "a\nb\nc", "b")]
    [InlineData(@"a{,2}b", "aaab", "aab")]
    [InlineData(@"[a-]+", "a-b", "a-")]
    [InlineData(@"(a|b)(?<=b)c", "bc ac", "bc")]
    public void Find_GivenAPattern_ShouldMatchAsTheLibrariesDo(string pattern, string text, string expected)
    {
        Assert.Equal(expected, Matches(pattern, text));
    }

    [Theory]
    [InlineData(@"\b", "\\b")]
    [InlineData(@"(?P<x>a)", "(?P")]
    [InlineData(@"[a&&b]", "&&")]
    [InlineData(@"[[:alpha:]]", "[:")]
    [InlineData(@"\p{Greek}", "Greek")]
    [InlineData(@"a{2}+", "{…}+")]
    [InlineData(@"a**", "quantifier")]
    [InlineData(@"(a", "does not end")]
    [InlineData(@"a)", "unmatched )")]
    [InlineData(@"[a", "does not end")]
    [InlineData(@"\", "at the end")]
    [InlineData(@"[]a]", "empty class")]
    [InlineData(@"\1", "\\1")]
    [InlineData(@"[z-a]", "range")]
    [InlineData(@"a{3,1}", "not a valid pattern")]
    [InlineData(@"𝐀", "above U+FFFF")]
    [InlineData(@"[\x80-\uFFFF]", "category")]
    [InlineData(@"\x{1F600}", "hexadecimal")]
    public void Constructor_GivenWhatIsNotSupported_ShouldRefuseItByName(string pattern, string named)
    {
        UserErrorException error = Assert.Throws<UserErrorException>(() => Matches(pattern, ""));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Constructor_GivenDeepNesting_ShouldRefuseIt()
    {
        string pattern = new string('(', 1000) + "a" + new string(')', 1000);
        Assert.Throws<UserErrorException>(() => Matches(pattern, "a"));
    }

    private static string Matches(string pattern, string text)
    {
        List<(int Start, int End)> matches = [];
        new RegexPattern(pattern, new JsonPart(default, "test", "pattern")).Find(text, matches);
        return string.Join('|', matches.Select(match => text[match.Start..match.End]));
    }
}
