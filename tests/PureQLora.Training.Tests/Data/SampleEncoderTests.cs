using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

public sealed class SampleEncoderTests
{
    private static readonly PromptCompletionExample Pair = new("f, line 1", "xy", "zw");

    public static TheoryData<string> GoldenCases => [.. Golden.Cases("sft.json").Where(row => !row.Text("kind").StartsWith("chat", StringComparison.Ordinal)).Select(row => row.Text("id"))];

    [Theory]
    [MemberData(nameof(GoldenCases))]
    public void Encode_GivenAGoldenExample_ShouldEqualTrl(string id)
    {
        JsonElement row = Golden.Cases("sft.json").Single(row => row.Text("id") == id);
        JsonElement example = row.GetProperty("example");
        JsonElement settings = row.GetProperty("settings");
        SampleEncoder encoder = new(TokenizerFile.Load(RepositoryPaths.Fixture("text", "tokenizers", "spm600")))
        {
            MaxLength = settings.GetProperty("max_length").GetInt32(),
            CompletionOnly = !settings.TryGetProperty("completion_only_loss", out JsonElement only) || only.GetBoolean(),
            Truncation = settings.TryGetProperty("truncation_mode", out JsonElement mode) && mode.GetString() == "keep_end" ? TruncationMode.KeepEnd : TruncationMode.KeepStart,
        };
        IReadOnlyList<TrainingSample> samples = encoder.Encode(row.Text("kind") == "text"
            ? new TextExample(id, example.Text("text"))
            : new PromptCompletionExample(id, example.Text("prompt"), example.Text("completion")));
        if (row.GetProperty("result").ValueKind == JsonValueKind.Null)
        {
            Assert.Empty(samples);
            return;
        }

        TrainingSample sample = Assert.Single(samples);
        Assert.Equal(row.GetProperty("result").GetProperty("input_ids").Integers(), sample.InputIds);
        Assert.Equal(row.GetProperty("result").GetProperty("labels").Integers(), sample.Labels);
    }

    [Fact]
    public void Encode_GivenAPair_ShouldLearnTheCompletionAndItsEnd()
    {
        TrainingSample sample = Single(new(new CharacterTokenizer()), Pair);
        Assert.Equal([1, 'x', 'y', 'z', 'w', 2], sample.InputIds);
        Assert.Equal([-100, -100, -100, 'z', 'w', 2], sample.Labels);
        Assert.Equal(3, sample.SupervisedTokens);
        Assert.Equal("⟦<s>xy⟧zw</s>", TrainingData.Render(sample, new CharacterTokenizer()));
    }

    [Fact]
    public void Encode_GivenATokenAcrossTheBoundary_ShouldLearnIt()
    {
        TrainingSample sample = Single(new(new CharacterTokenizer()), new PromptCompletionExample("f", "xa", "bc"));
        Assert.Equal([1, 'x', 290, 'c', 2], sample.InputIds);
        Assert.Equal([-100, -100, 290, 'c', 2], sample.Labels);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Encode_GivenAnEndAlready_ShouldNotAddAnother(bool tokenizerAddsIt)
    {
        SampleEncoder encoder = new(new CharacterTokenizer { AddsEnd = tokenizerAddsIt });
        Assert.Equal([1, 'x', 'y', 'z', 2], Single(encoder, Pair with { Completion = "z</s>" }).InputIds);
        Assert.Equal([-100, -100, -100, 'z', 2], Single(encoder, Pair with { Completion = "z" }).Labels);
    }

    [Fact]
    public void Encode_GivenTruncation_ShouldCutLabelsAlike()
    {
        Assert.Equal([-100, -100, -100, 'z'], Single(new(new CharacterTokenizer()) { MaxLength = 4 }, Pair).Labels);
        Assert.Equal(['z', 'w', 2], Single(new(new CharacterTokenizer()) { MaxLength = 3, Truncation = TruncationMode.KeepEnd }, Pair).Labels);
        Assert.Empty(new SampleEncoder(new CharacterTokenizer()) { MaxLength = 3 }.Encode(Pair));
    }

    [Fact]
    public void Encode_GivenText_ShouldLearnAllAndSplitWhereAllowed()
    {
        SampleEncoder encoder = new(new CharacterTokenizer()) { MaxLength = 3 };
        Assert.Equal([1, 'v', 'w'], Single(encoder, new TextExample("f", "vwxyz")).Labels);
        Assert.Equal(["<s>vw", "xyz"], encoder.Encode(new TextExample("f", "vwxyz", Splittable: true)).Select(piece => TrainingData.Render(piece, new CharacterTokenizer())));
    }

    [Fact]
    public void Encode_GivenDataThatTeachNothing_ShouldRefuseWithTheLine()
    {
        SampleEncoder encoder = new(new CharacterTokenizer());
        Assert.Contains("f, line 7", Assert.Throws<UserErrorException>(() => encoder.Encode(new TokenizedExample("f, line 7", [1, 2], [-100, -100]))).Message, StringComparison.Ordinal);

        // The first token is never predicted.
        Assert.Throws<UserErrorException>(() => encoder.Encode(new TokenizedExample("f", [1, 2], [1, -100])));
        Assert.Throws<UserErrorException>(() => encoder.Encode(new TokenizedExample("f", [1, 300], [1, 2])));
        Assert.Throws<UserErrorException>(() => new SampleEncoder(new CharacterTokenizer { EosId = null }).Encode(Pair));
        Assert.Throws<UserErrorException>(() => new SampleEncoder(new CharacterTokenizer()) { MaxLength = 1 }.Encode(Pair));
    }

    [Fact]
    public void Create_GivenSomeTooLong_ShouldCountAndRefuseWhenNoneIsLeft()
    {
        SampleEncoder encoder = new(new CharacterTokenizer()) { MaxLength = 4 };
        TrainingData data = TrainingData.Create([Pair, new PromptCompletionExample("f", "long prompt", "x")], encoder);
        Assert.Equal((1, 1, 4L, 1L), (data.Samples.Count, data.Dropped, data.Tokens, data.SupervisedTokens));
        Assert.Throws<UserErrorException>(() => TrainingData.Create([new PromptCompletionExample("f", "long prompt", "x")], encoder));
    }

    private static TrainingSample Single(SampleEncoder encoder, TrainingExample example) => Assert.Single(encoder.Encode(example));
}
