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

    [Fact]
    public void Normalize_GivenPlainText_ShouldReturnTheSameString()
    {
        string text = "Zürich, naïve: 3 × 4";
        Assert.Same(text, UnicodeNormalization.Normalize(text, NormalizationForm.FormC));
    }
}
