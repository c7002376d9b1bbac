using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>The parts of a tokenizer.json one by one.</summary>
public sealed class BytePairTokenizerTests
{
    [Theory]
    [InlineData("""{"type": "Prepend", "prepend": "▁"}""", "ab", "▁|a|b")]
    [InlineData("""{"type": "Prepend", "prepend": "▁"}""", "", "")]
    [InlineData("""{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}""", " a  b", "▁|a|▁|▁|b")]
    [InlineData("""{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "$1"}""", "a   b c", "a|$|1|b| |c")]
    [InlineData("""{"type": "Lowercase"}""", "ABc", "a|b|c")]
    [InlineData("""{"type": "Strip", "strip_left": true, "strip_right": false}""", " a ", "a| ")]
    [InlineData("""{"type": "Strip", "strip_left": false, "strip_right": true}""", " a ", " |a")]
    [InlineData("""{"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}""", "éÅñ", "e|A|n")]
    [InlineData("""{"type": "NFKC"}""", "ﬁ①Ａ", "f|i|1|A")]
    [InlineData("""{"type": "NFKD"}""", "½", "1|2")]
    public void Encode_GivenANormalizer_ShouldRewriteTheText(string normalizer, string text, string expected)
    {
        Assert.Equal(expected, TokenizerJsonBuilder.Build(normalizer).Tokens(text));
    }

    [Theory]
    [InlineData("Isolated", false, "a|--|-|b")]
    [InlineData("Removed", false, "a|b")]
    [InlineData("MergedWithPrevious", false, "a--|-|b")]
    [InlineData("MergedWithNext", false, "a|--|-b")]
    [InlineData("Contiguous", false, "a|---|b")]
    [InlineData("Removed", true, "--|-")]
    public void Encode_GivenASplit_ShouldCutAsItsBehaviorSays(string behavior, bool invert, string expected)
    {
        string split = $$"""{"type": "Split", "pattern": {"Regex": "--|-"}, "behavior": "{{behavior}}", "invert": {{(invert ? "true" : "false")}}}""";
        Assert.Equal(expected, Words(split, "a---b"));
    }

    [Theory]
    [InlineData("""{"type": "Digits", "individual_digits": true}""", "ab12c", "ab|1|2|c")]
    [InlineData("""{"type": "Digits", "individual_digits": false}""", "ab12c", "ab|12|c")]
    [InlineData("""{"type": "Punctuation"}""", "a+b!!", "a|+|b|!|!")]
    [InlineData("""{"type": "Punctuation", "behavior": "Contiguous"}""", "a+b!!", "a|+|b|!!")]
    [InlineData("""{"type": "WhitespaceSplit"}""", " a-b  c", "a-b|c")]
    [InlineData("""{"type": "Whitespace"}""", "a_b, c!? d", "a_b|,|c|!?|d")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}""", "a  b", "▁a|▁|▁b")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true}""", "a b", "a|▁b")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "add_prefix_space": false}""", "a b", "a|▁b")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}""", "a b", "▁a▁b")]
    [InlineData("""{"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Digits", "individual_digits": true}]}""", "a1 b2", "a|1|b|2")]
    public void Encode_GivenAPreTokenizer_ShouldCutIntoWords(string preTokenizer, string text, string expected)
    {
        Assert.Equal(expected, Words(preTokenizer, text));
    }

    [Fact]
    public void Encode_GivenMetaspaceFirst_ShouldPrefixOnlyWhereTheTextBegins()
    {
        const string added = """[{"id": 96, "content": "<x>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}]""";
        BytePairTokenizer first = TokenizerJsonBuilder.Build(preTokenizer: """{"type": "Metaspace", "prepend_scheme": "first"}""", addedTokens: added);
        BytePairTokenizer always = TokenizerJsonBuilder.Build(preTokenizer: """{"type": "Metaspace", "prepend_scheme": "always"}""", addedTokens: added);
        Assert.Equal("▁|a|<x>|b", first.Tokens("a<x>b", parseSpecial: true));
        Assert.Equal("▁|a|<x>|▁|b", always.Tokens("a<x>b", parseSpecial: true));
        Assert.Equal("▁|a|<|x|>|b", first.Tokens("a<x>b"));
    }

    [Theory]
    [InlineData("""{"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}""", "▁▁a▁", " a ")]
    [InlineData("""{"type": "Strip", "content": "▁", "start": 1, "stop": 1}""", "a▁▁", "a")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}""", "▁a▁b", "a b")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"}""", "▁a▁b", " a b")]
    [InlineData("null", "ab", "a b")]
    public void Decode_GivenADecoder_ShouldJoinTheTokens(string decoder, string tokens, string expected)
    {
        BytePairTokenizer tokenizer = TokenizerJsonBuilder.Build(decoder: decoder);
        Assert.Equal(expected, tokenizer.Decode(tokenizer.Encode(tokens)));
    }

    [Theory]
    [InlineData("lstrip", "a  <x> b", "a|<x>| |b")]
    [InlineData("rstrip", "a  <x> b", "a| | |<x>|b")]
    [InlineData("single_word", "a<x> <x>", "a|<|x|>| |<x>")]
    [InlineData("none", "a <x>b", "a| |<x>|b")]
    public void Encode_GivenAnAddedToken_ShouldKeepItsConditions(string condition, string text, string expected)
    {
        string Flag(string name) => $"\"{name}\": {(name == condition ? "true" : "false")}";
        string added = $$"""[{"id": 96, "content": "<x>", {{Flag("single_word")}}, {{Flag("lstrip")}}, {{Flag("rstrip")}}, "normalized": false, "special": false}]""";
        Assert.Equal(expected, TokenizerJsonBuilder.Build(addedTokens: added).Tokens(text));
    }

    [Fact]
    public void Encode_GivenANormalizedAddedToken_ShouldFindItInNormalizedText()
    {
        const string added = """[{"id": 96, "content": "Foo", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}]""";
        BytePairTokenizer tokenizer = TokenizerJsonBuilder.Build("""{"type": "Lowercase"}""", addedTokens: added);
        Assert.Equal("a|Foo|b|Foo", tokenizer.Tokens("aFOObfoo"));
    }

    [Fact]
    public void Encode_GivenMergesInEitherForm_ShouldMergeByRankThenFromTheLeft()
    {
        string[] tokens = ["ab", "bc", "abc", "aa"];
        BytePairTokenizer pairs = TokenizerJsonBuilder.Build(moreTokens: tokens, merges: """[["b", "c"], ["a", "bc"], ["a", "b"], ["a", "a"]]""");
        BytePairTokenizer lines = TokenizerJsonBuilder.Build(moreTokens: tokens, merges: """["b c", "a bc", "a b", "a a"]""");
        Assert.Equal("abc|ab|aa|a", pairs.Tokens("abcabaaa"));
        Assert.Equal("abc|ab|aa|a", lines.Tokens("abcabaaa"));
    }

    [Theory]
    [InlineData("", "a|b")]
    [InlineData("\"unk_token\": \"<unk>\",", "a|<unk>|<unk>|b|<unk>")]
    [InlineData("\"unk_token\": \"<unk>\", \"fuse_unk\": true,", "a|<unk>|b|<unk>")]
    public void Encode_GivenUnknownCharacters_ShouldFollowTheModel(string options, string expected)
    {
        Assert.Equal(expected, TokenizerJsonBuilder.Build(moreTokens: ["<unk>"], modelOptions: options).Tokens("aéüb😀"));
    }

    [Fact]
    public void Encode_GivenIgnoreMerges_ShouldTakeAWholeWordFirst()
    {
        BytePairTokenizer tokenizer = TokenizerJsonBuilder.Build(preTokenizer: """{"type": "WhitespaceSplit"}""", moreTokens: ["ab", "abc"], merges: """["a b"]""", modelOptions: "\"ignore_merges\": true,");
        Assert.Equal("abc|ab|c|c", tokenizer.Tokens("abc abcc"));
    }

    [Fact]
    public void Encode_GivenATemplate_ShouldPutItsTokensAround()
    {
        const string template = """
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "b", "type_id": 0}}],
             "pair": [], "special_tokens": {"a": {"id": "a", "ids": [1, 2], "tokens": ["x", "y"]}, "b": {"id": "b", "ids": [3], "tokens": ["z"]}}}
            """;
        BytePairTokenizer tokenizer = TokenizerJsonBuilder.Build(postProcessor: template);
        int x = tokenizer.TokenToId("x")!.Value;
        Assert.Equal([1, 2, x, 3], tokenizer.Encode("x", addSpecial: true));
        Assert.Equal([x], tokenizer.Encode("x"));
        Assert.Null(tokenizer.BosId);
        Assert.Equal(3, tokenizer.EosId);
    }

    [Theory]
    [InlineData("""{"type": "BertNormalizer"}""", null, null, null, "BertNormalizer")]
    [InlineData(null, """{"type": "UnicodeScripts"}""", null, null, "UnicodeScripts")]
    [InlineData(null, """{"type": "Split", "pattern": {"Regex": "\\p{Han}+"}, "behavior": "Isolated", "invert": false}""", null, null, "Han")]
    [InlineData(null, """{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolate", "invert": false}""", null, null, "Isolate")]
    [InlineData(null, """{"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]}""", null, null, "Digits after ByteLevel")]
    [InlineData(null, """{"type": "Metaspace", "prepend_scheme": "sometimes"}""", null, null, "sometimes")]
    [InlineData(null, null, """{"type": "CTC"}""", null, "CTC")]
    [InlineData(null, null, null, """{"type": "BertProcessing"}""", "BertProcessing")]
    [InlineData("""{"type": "Lowercase", "locale": "tr"}""", null, null, null, "locale")]
    public void Load_GivenWhatIsNotSupported_ShouldRefuseItByName(string? normalizer, string? preTokenizer, string? decoder, string? postProcessor, string named)
    {
        UserErrorException error = Assert.Throws<UserErrorException>(() => TokenizerJsonBuilder.Build(normalizer, preTokenizer, decoder, postProcessor));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"continuing_subword_prefix\": \"##\",", "##")]
    [InlineData("\"end_of_word_suffix\": \"</w>\",", "</w>")]
    [InlineData("\"dropout\": 0.1,", "dropout")]
    [InlineData("\"unk_token\": \"<none>\",", "<none>")]
    [InlineData("\"byte_fallback\": true,", "<0x00>")]
    [InlineData("\"max_merges\": 3,", "max_merges")]
    public void Load_GivenAModelOptionThatIsNotSupported_ShouldRefuseItByName(string options, string named)
    {
        UserErrorException error = Assert.Throws<UserErrorException>(() => TokenizerJsonBuilder.Build(modelOptions: options));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_GivenAnIdOutsideTheVocabulary_ShouldThrow()
    {
        BytePairTokenizer tokenizer = TokenizerJsonBuilder.Build();
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([tokenizer.VocabularySize]));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([-1]));
        Assert.Null(tokenizer.IdToToken(-1));
        Assert.Null(tokenizer.IdToToken(int.MaxValue));
        Assert.Null(tokenizer.TokenToId("nothing"));
    }

    /// <summary>The words that a pre-tokenizer makes.</summary>
    private static string Words(string preTokenizer, string text)
    {
        PreTokenizer read = PreTokenizer.Read(JsonPart.Parse(System.Text.Encoding.UTF8.GetBytes(preTokenizer), "test"));
        WordList words = new();
        read.Split(new TextSegment(text, 0, text.Length, IsFirst: true), words);
        return string.Join('|', words.Words);
    }

    private sealed class WordList : IWordSink
    {
        public List<string> Words { get; } = [];

        public void Add(in TextSegment word) => Words.Add(word.Span.ToString());
    }
}
