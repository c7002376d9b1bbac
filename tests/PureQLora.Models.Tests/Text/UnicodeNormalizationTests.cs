using System.Text;
using System.Text.Json;

namespace PureQLora.Models.Tests;

public sealed class UnicodeNormalizationTests
{
    [Theory]
    [InlineData(NormalizationForm.FormC, 1)]
    [InlineData(NormalizationForm.FormD, 2)]
    [InlineData(NormalizationForm.FormKC, 3)]
    [InlineData(NormalizationForm.FormKD, 4)]
    public void Normalize_GivenRandomMarksAndLetters_ShouldGiveTheGoldenForm(NormalizationForm form, int column)
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("text", "normalization.json")));
        int checkedCases = 0;
        foreach (JsonElement row in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            Assert.Equal(row[column].GetString(), UnicodeNormalization.Normalize(row[0].GetString()!, form));
            checkedCases++;
        }

        Assert.Equal(400, checkedCases);
    }

    [Theory]
    [InlineData(NormalizationForm.FormC)]
    [InlineData(NormalizationForm.FormD)]
    [InlineData(NormalizationForm.FormKC)]
    [InlineData(NormalizationForm.FormKD)]
    public void Normalize_GivenRandomText_ShouldEqualWhatTheWholeTextGives(NormalizationForm form)
    {
        // Letters that combine, marks of several classes, Hangul in parts, exclusions, ligatures, compatibility characters, U+FFFF and above.
        string[] pieces =
        [
            "a", "e", " ", "é", "ế", "ẛ", "\u0301", "\u0323", "\u0327", "\u0345", "\u0344", "\u1100", "\u1161", "\u11A8", "가", "각", "\u212B", "\u0958", "ﬁ", "½",
            "\u09C7", "\u09BE", "\uFB1D", "\u0F73", "\U0002F800", "\U0001109A", "\U000110BA", "\U0001D15E", "\U0001D16E", "😀", "語", "\u3099", "か", "\uFDFA",
        ];
        Random random = new(3);
        for (int round = 0; round < 10_000; round++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => random.Next(4) > 0 ? pieces[random.Next(pieces.Length)] : AnyCodePoint(random)));
            Assert.Equal(UnicodeNormalization.NormalizePiece(text, form), UnicodeNormalization.Normalize(text, form));
        }
    }

    private static string AnyCodePoint(Random random)
    {
        int value = random.Next(0x30000);
        return Rune.IsValid(value) ? new Rune(value).ToString() : "x";
    }

    [Fact]
    public void Normalize_GivenPlainText_ShouldReturnTheSameString()
    {
        string text = "Zürich, naïve: 3 × 4 – “語” ế 각 😀";
        Assert.Same(text, UnicodeNormalization.Normalize(text, NormalizationForm.FormC));
    }
}
