using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class SentencePieceTokenizerTests
{
    [Fact]
    public void Encode_GivenScores_ShouldMergeTheHighestFirst()
    {
        SentencePieceTokenizer tokenizer = Letters().Add("ab", -2).Add("bc", -1).Add("▁a", -3).Build();
        Assert.Equal("▁a|bc", tokenizer.Tokens("abc"));
        Assert.Equal("▁|ab|ab", tokenizer.Tokens("abab"));
    }

    [Fact]
    public void Encode_GivenEqualScores_ShouldMergeFromTheLeft()
    {
        Assert.Equal("▁|ab|c", Letters().Add("bc", -1).Add("ab", -1).Build().Tokens("abc"));
    }

    [Fact]
    public void Encode_GivenAPieceOfLettersThatAreNoPieces_ShouldMergeOrFallBack()
    {
        SentencePieceTokenizer tokenizer = new SentencePieceBuilder { ByteFallback = true }.AddBytes().Add("▁").Add("éü", -1).Build();
        Assert.Equal("▁|éü", tokenizer.Tokens("éü"));
        Assert.Equal("▁|<0xC3>|<0xA9>", tokenizer.Tokens("é"));
    }

    [Fact]
    public void Encode_GivenNoByteFallback_ShouldFuseUnknownCharacters()
    {
        Assert.Equal("▁|a|<unk>|b|<unk>", Letters().Build().Tokens("axyb😀"));
    }

    [Fact]
    public void Encode_GivenUserDefinedPieces_ShouldCutThemOutWhole()
    {
        SentencePieceTokenizer tokenizer = Letters().Add("ab", -1).Add("bc", 0, 4).Add("bcc", 0, 4).Build();
        Assert.Equal("▁|a|bc|a", tokenizer.Tokens("abca"));
        Assert.Equal("▁|a|bcc|ab", tokenizer.Tokens("abccab"));
        Assert.Equal("abccab", tokenizer.Decode(tokenizer.Encode("abccab")));
    }

    [Fact]
    public void Encode_GivenControlPieces_ShouldReadThemOnlyWhenAsked()
    {
        SentencePieceTokenizer tokenizer = Letters().Add("s").Add("<").Add(">").Build();
        Assert.Equal("▁|<|s|>|a", tokenizer.Tokens("<s>a"));
        Assert.Equal("<s>|a|<s>|▁|b", tokenizer.Tokens("<s>a<s> b", parseSpecial: true));
        Assert.Equal("▁|a|<s>|b", tokenizer.Tokens("a<s>b", parseSpecial: true));
        Assert.Equal([1, 2], tokenizer.Encode("</s>", addSpecial: true, parseSpecial: true));
    }

    [Theory]
    [InlineData(true, true, "  a   b ", "▁|a|▁|b", "a b")]
    [InlineData(true, false, "  a   b ", "▁|▁|▁|a|▁|▁|▁|b|▁", "  a   b ")]
    [InlineData(false, true, "  a   b ", "a|▁|b", "a b")]
    [InlineData(false, false, " a", "▁|a", " a")]
    [InlineData(true, true, "   ", "", "")]
    [InlineData(true, false, "", "", "")]
    public void Encode_GivenTheNormalizationFlags_ShouldFollowThem(bool prefix, bool trim, string text, string expected, string decoded)
    {
        SentencePieceTokenizer tokenizer = new SentencePieceBuilder { DummyPrefix = prefix, RemoveExtraWhitespaces = trim }.Add("▁").Add("a").Add("b").Build();
        Assert.Equal(expected, tokenizer.Tokens(text));
        Assert.Equal(decoded, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [Fact]
    public void Encode_GivenLoneSurrogates_ShouldTakeThemAsReplacementCharacters()
    {
        SentencePieceTokenizer tokenizer = new SentencePieceBuilder { ByteFallback = true }.AddBytes().Add("▁").Build();
        Assert.Equal(tokenizer.Encode("\uFFFDx\uFFFD😀"), tokenizer.Encode("\uDC00x\uD83D😀"));
    }

    [Fact]
    public void BosId_GivenNone_ShouldBeNull()
    {
        SentencePieceTokenizer tokenizer = new SentencePieceBuilder { BosId = -1 }.Add("▁").Add("a").Build();
        Assert.Null(tokenizer.BosId);
        Assert.Equal(2, tokenizer.EosId);
        Assert.Equal([3, 4], tokenizer.Encode("a", addSpecial: true));
    }

    public static TheoryData<string, byte[]> Refused => new()
    {
        { "unigram", new SentencePieceBuilder { ModelType = 1 }.Add("a").ToBytes() },
        { "word", new SentencePieceBuilder { ModelType = 3 }.Add("a").ToBytes() },
        { "treat_whitespace_as_suffix", new SentencePieceBuilder { SpaceIsSuffix = true }.Add("a").ToBytes() },
        { "precompiled_charsmap", new SentencePieceBuilder { Rules = "rules" }.Add("a").ToBytes() },
        { "UNUSED", new SentencePieceBuilder().Add("a", 0, 5).ToBytes() },
        { "type 9", new SentencePieceBuilder().Add("a", 0, 9).ToBytes() },
        { "repeats 'a'", new SentencePieceBuilder().Add("a").Add("a").ToBytes() },
        { "is empty", new SentencePieceBuilder().Add("").ToBytes() },
        { "NaN", new SentencePieceBuilder().Add("a", float.NaN).ToBytes() },
        { "second unknown", new SentencePieceBuilder().Add("a", 0, 2).ToBytes() },
        { "byte_fallback is false", new SentencePieceBuilder().AddBytes().ToBytes() },
        { "<0xFE>", new SentencePieceBuilder { ByteFallback = true }.AddBytes(254).ToBytes() },
        { "<0xab>", new SentencePieceBuilder { ByteFallback = true }.Add("<0xab>", 0, 6).ToBytes() },
        { "bos_id is 99", new SentencePieceBuilder { BosId = 99 }.Add("a").ToBytes() },
        { "257 characters", new SentencePieceBuilder().Add(new string('a', 257)).ToBytes() },
        { "no pieces", [] },
        { "not a SentencePiece model", "{\"model\": 1}"u8.ToArray() },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Load_GivenWhatIsBrokenOrNotSupported_ShouldRefuseItByName(string named, byte[] model)
    {
        UserErrorException error = Assert.Throws<UserErrorException>(() => new SentencePieceTokenizer(SentencePieceModel.Parse(model, "test.model"), SpecialTokenSettings.None));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_GivenAnIdOutsideTheVocabulary_ShouldThrow()
    {
        SentencePieceTokenizer tokenizer = Letters().Build();
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([tokenizer.VocabularySize]));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([-1]));
        Assert.Null(tokenizer.IdToToken(tokenizer.VocabularySize));
    }

    private static SentencePieceBuilder Letters() => new SentencePieceBuilder().Add("▁").Add("a").Add("b").Add("c");
}
