namespace PureQLora.Models.Tests;

public sealed class StreamingDecoderTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Append_GivenATokenizerThatHidesSpaces_ShouldKeepThoseInside(bool trim)
    {
        SentencePieceTokenizer tokenizer = new SentencePieceBuilder { RemoveExtraWhitespaces = trim }.Add("▁").Add("a").Add("▁a").Build();
        int[] ids = [3, 4, 3, 3, 4, 3, 5, 5];
        Assert.Equal("a  a  a a", tokenizer.Decode(ids));
        Assert.Equal("a  a  a a", Stream(tokenizer, ids, skipSpecial: false));
    }

    [Fact]
    public void Append_GivenSpecialTokens_ShouldSkipThemWhenAsked()
    {
        SentencePieceTokenizer tokenizer = new SentencePieceBuilder().Add("▁a").Build();
        Assert.Equal("a a", Stream(tokenizer, [1, 3, 1, 1, 3, 2], skipSpecial: true));
        Assert.Equal("<s> a<s><s> a</s>", Stream(tokenizer, [1, 3, 1, 1, 3, 2], skipSpecial: false));
    }

    [Fact]
    public void Append_GivenBytesOfACharacter_ShouldHoldThemBack()
    {
        SentencePieceTokenizer tokenizer = new SentencePieceBuilder { ByteFallback = true }.AddBytes().Build();
        StreamingDecoder decoder = new(tokenizer);
        Assert.Equal(["", "", "", "😀"], ((byte[])[0xF0, 0x9F, 0x98, 0x80]).Select(value => decoder.Append(3 + value)));
        Assert.Equal("", decoder.Append(3 + 0xF0));
        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("A", decoder.Append(3 + 'A'));
    }

    private static string Stream(ITokenizer tokenizer, int[] ids, bool skipSpecial)
    {
        StreamingDecoder decoder = new(tokenizer, skipSpecial);
        return string.Concat(ids.Select(decoder.Append)) + decoder.Flush();
    }
}
