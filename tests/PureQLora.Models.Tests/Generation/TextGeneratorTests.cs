using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Texts of models that say what the test has written down.</summary>
public sealed class TextGeneratorTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 1);

    public void Dispose() => _backend.Dispose();

    [Fact]
    public void Generate_GivenAStopToken_ShouldEndWithItAndLeaveItOut()
    {
        TextGenerator generator = Counting("a", "b", "c", "</s>", "d");
        Generation generation = generator.Generate([[0]], new SamplingOptions())[0];
        Assert.Equal([1, 2, 3], generation.Ids);
        Assert.Equal("bc", generation.Text);
        Assert.Equal(FinishReason.Stop, generation.FinishReason);
    }

    [Fact]
    public void Generate_GivenOtherStopIds_ShouldUseThose()
    {
        TextGenerator generator = new(ChainWeights.Counting(5), new PieceTokenizer("a", "b", "c", "</s>", "d"), _backend) { StopIds = [] };
        Assert.Equal("bcddd", generator.Generate([[0]], new SamplingOptions { MaxNewTokens = 6 })[0].Text.Replace("</s>", "", StringComparison.Ordinal));
        Assert.Equal([1, 2], generator.Generate([[0]], new SamplingOptions { StopIds = [2] })[0].Ids);
    }

    [Fact]
    public void Generate_GivenAStopStringAcrossTokens_ShouldCutBeforeIt()
    {
        TextGenerator generator = Counting("a", "b", "cd", "ef", "gh");
        List<string> pieces = [];
        Generation generation = generator.Generate([[0]], new SamplingOptions { StopStrings = ["def"] }, (_, text) => pieces.Add(text))[0];
        Assert.Equal("bc", generation.Text);
        Assert.Equal(["b", "c"], pieces);
        Assert.Equal([1, 2, 3], generation.Ids);
        Assert.Equal(FinishReason.Stop, generation.FinishReason);
    }

    [Fact]
    public void Generate_GivenTheSpellingOfASpecialToken_ShouldStopAtIt()
    {
        TextGenerator generator = Counting("a", "b", "<|end|>", "c");
        Assert.Equal("b", generator.Generate([[0]], new SamplingOptions { StopStrings = ["<|end|>"] })[0].Text);
        Assert.Equal("bcc", generator.Generate([[0]], new SamplingOptions { MaxNewTokens = 4 })[0].Text);
    }

    [Fact]
    public void Generate_GivenTooFewTokens_ShouldEndForLengthWithAllText()
    {
        Generation generation = Counting("a", "b", "cd", "e").Generate([[0]], new SamplingOptions { MaxNewTokens = 2, StopStrings = ["dx"] })[0];
        Assert.Equal("bcd", generation.Text);
        Assert.Equal(FinishReason.Length, generation.FinishReason);
    }

    [Fact]
    public void Stream_GivenACharacterInPieces_ShouldGiveItWhole()
    {
        TextGenerator generator = Counting("a", "\\xF0", "\\x9F", "\\x98", "\\x80", "b", "</s>");
        Assert.Equal(["😀", "b"], generator.Stream("a", new SamplingOptions()));
        Assert.Equal(["\uFFFD"], generator.Stream([0], new SamplingOptions { MaxNewTokens = 3 }));
    }

    [Fact]
    public void Stream_GivenAWrongOption_ShouldSaySoAtOnce()
    {
        TextGenerator generator = Counting("a", "b");
        Assert.Throws<UserErrorException>(() => { _ = generator.Stream("a", new SamplingOptions { TopP = 2 }); });
        Assert.Throws<UserErrorException>(() => { _ = generator.Stream([7], new SamplingOptions()); });
    }

    [Fact]
    public void Stream_GivenAReaderThatLeaves_ShouldEnd() =>
        Assert.Equal("b", Counting("a", "b", "c").Stream("a", new SamplingOptions()).First());

    [Fact]
    public void Stream_GivenATokenizerThatClosesTexts_ShouldContinueBeforeTheEnd()
    {
        PieceTokenizer tokenizer = new("a", "b", "c", "</s>") { Suffix = [3] };
        TextGenerator generator = new(ChainWeights.Counting(4), tokenizer, _backend);
        Assert.Equal([0], generator.EncodePrompt("a"));
        Assert.Equal("bc", string.Concat(generator.Stream("a", new SamplingOptions())));
    }

    [Fact]
    public void Generate_GivenCancellation_ShouldReturnWhatThereIs()
    {
        using CancellationTokenSource source = new();
        TextGenerator generator = Counting("a", "b", "c", "d#", "e", "f");
        IReadOnlyList<Generation> generations = generator.Generate([[0], [2]], new SamplingOptions { StopStrings = ["#!"] }, Cancel, source.Token);
        Assert.Equal(["bcd#", "d#ef"], generations.Select(generation => generation.Text));
        Assert.All(generations, generation => Assert.Equal(FinishReason.Cancelled, generation.FinishReason));

        generations = generator.Generate([[0]], new SamplingOptions(), source.Token);
        Assert.Equal(("", FinishReason.Cancelled), (generations[0].Text, generations[0].FinishReason));

        void Cancel(int index, string text)
        {
            if (text == "d" && index == 0)
            {
                source.Cancel();
            }
        }
    }

    [Fact]
    public void Generate_GivenAnEmptyPrompt_ShouldStartFromBosOrRefuse()
    {
        TextGenerator named = new(ChainWeights.Counting(4, bos: 1), new PieceTokenizer("a", "b", "c", "</s>"), _backend);
        Assert.Equal("c", named.Generate([[]], new SamplingOptions())[0].Text);
        Assert.Equal("b", Counting("<s>", "b", "</s>").Generate([[]], new SamplingOptions())[0].Text);
        Assert.Contains(
            "Prompt 1 is empty", Assert.Throws<UserErrorException>(() => Counting("a", "b").Generate([[0], []], new SamplingOptions())).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(3)]
    public void Generate_GivenAForeignToken_ShouldRefuse(int id)
    {
        UserErrorException error = Assert.Throws<UserErrorException>(() => Counting("a", "b", "c").Generate([[0], [0, id]], new SamplingOptions()));
        Assert.Contains($"Prompt 1 has token {id}, the model's tokens are 0–2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Generate_GivenMoreThanThereArePositions_ShouldRefuseOrEnd()
    {
        TextGenerator generator = new(ChainWeights.Counting(4, maxPositions: 5), new PieceTokenizer("a", "b", "c", "d"), _backend);
        UserErrorException error = Assert.Throws<UserErrorException>(() => generator.Generate([[0, 0, 0, 0, 0, 0]], new SamplingOptions()));
        Assert.Contains("6 tokens long, the model was made for at most 5", error.Message, StringComparison.Ordinal);
        IReadOnlyList<Generation> generations = generator.Generate([[0, 0, 0, 0, 0], [0]], new SamplingOptions());
        Assert.Equal(["b", "bcddd"], generations.Select(generation => generation.Text));
        Assert.All(generations, generation => Assert.Equal(FinishReason.Length, generation.FinishReason));
    }

    [Fact]
    public void Generate_GivenEmbeddingsBeyondTheTokenizer_ShouldNeverChooseThem()
    {
        LlamaModel model = ChainWeights.Model(6, (_, to) => to >= 4 ? 9f : to == 2 ? 1f : 0f);
        TextGenerator generator = new(model, new PieceTokenizer("a", "b", "c", "d"), _backend);
        Assert.Equal("ccc", generator.Generate([[5]], new SamplingOptions { MaxNewTokens = 3 })[0].Text);
    }

    [Fact]
    public void Generate_GivenSamples_ShouldNotDependOnTheirCompany()
    {
        PieceTokenizer tokenizer = new([.. Enumerable.Range(0, 30).Select(id => $"{(char)('a' + (id % 26))}"), "</s>"]);
        LlamaModel model = ChainWeights.Model(31, (from, to) => 2 * RandomState.Uniform((ulong)from, to));
        SamplingOptions options = new() { Temperature = 1, MaxNewTokens = 40, Seed = 3 };
        int[][] prompts = [[1], [2, 3, 4, 5], [6, 7], [8, 9, 10], [11, 12, 13, 14, 15, 16]];
        IReadOnlyList<Generation> together = new TextGenerator(model, tokenizer, _backend).Generate(prompts, options);
        IReadOnlyList<Generation> alone = new TextGenerator(model, tokenizer, _backend) { MaxBatch = 1 }.Generate(prompts, options);
        IReadOnlyList<Generation> inPairs = new TextGenerator(model, tokenizer, _backend) { MaxBatch = 2 }.Generate(prompts, options);
        Assert.Equal(alone.Select(generation => generation.Text), together.Select(generation => generation.Text));
        Assert.Equal(alone.Select(generation => generation.Text), inPairs.Select(generation => generation.Text));
        Assert.True(alone.Select(generation => generation.Ids.Count).Distinct().Count() > 2, "rows should end at different steps");
        Assert.NotEqual(
            alone.Select(generation => generation.Text),
            new TextGenerator(model, tokenizer, _backend).Generate(prompts, options with { Seed = 4 }).Select(generation => generation.Text));
    }

    private TextGenerator Counting(params string[] pieces) =>
        new(ChainWeights.Counting(pieces.Length), new PieceTokenizer(pieces), _backend);
}
