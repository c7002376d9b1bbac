namespace PureQLora.Tools.Tests;

public sealed class GenerateTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public void Generate_GivenASeed_ShouldRepeatItself()
    {
        string model = SmallModel.Write(_temporary["model"]);
        string Text(params string[] options) =>
            Tool.Generate(["--model", model, "--prompt", "Once upon", "--max-new-tokens", "16", .. options]).ShouldSucceed().Output;
        Assert.NotEqual("", Text().Trim());
        Assert.Equal(Text(), Text("--seed", "5", "--threads", "1"));
        Assert.Equal(Text("--temperature", "1", "--seed", "5"), Text("--temperature", "1", "--seed", "5"));
        Assert.NotEqual(Text("--temperature", "1", "--seed", "5"), Text("--temperature", "1", "--seed", "6"));
    }

    [Fact]
    public void Generate_GivenAnAdapter_ShouldUseIt()
    {
        string model = SmallModel.Write(_temporary["model"]);
        string adapter = SmallModel.WriteAdapter(model, _temporary["adapter"]);
        string Text(params string[] options) =>
            Tool.Generate(["--model", model, "--prompt", "Once upon", "--max-new-tokens", "24", .. options]).ShouldSucceed().Output;
        Assert.NotEqual(Text(), Text("--adapter", adapter));
    }

    [Theory]
    [InlineData("--temperature -1", "emperature")]
    [InlineData("--top-p 2", "op")]
    [InlineData("--max-new-tokens 0", "0")]
    [InlineData("--seed minus", "--seed")]
    [InlineData("--adapter absent", "absent")]
    public void Generate_GivenBadOptions_ShouldRefuse(string options, string word)
    {
        string model = SmallModel.Write(_temporary["model"]);
        Tool.Generate(["--model", model, "--prompt", "a", .. options.Split(' ')]).ShouldBeRefused(word);
    }

    [Fact]
    public void Generate_GivenNoTokenizer_ShouldRefuse() =>
        Tool.Generate("--model", RepositoryPaths.Fixture("models", "llama-mha"), "--prompt", "a").ShouldBeRefused("tokenizer");

    [Theory]
    [InlineData("--help")]
    [InlineData("--version")]
    public void Tools_GivenHelpOrVersion_ShouldSucceed(string option)
    {
        foreach (Func<string[], ToolResult> tool in (Func<string[], ToolResult>[])[Tool.Generate, Tool.Evaluate, Tool.Export, Tool.Inspect, Tool.Quantize])
        {
            Assert.NotEqual("", tool([option]).ShouldSucceed().Output);
        }
    }
}
