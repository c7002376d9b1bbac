using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>Two real models in NF4: perplexities of the golden table, and what a bitsandbytes folder gives back.</summary>
public sealed class StoriesNf4Tests : IDisposable
{
    private const string Row = "nf4 block 64";

    private readonly CpuBackend _backend = new(threads: 2);
    private readonly string _folder = Directory.CreateTempSubdirectory("pureqlora-test-").FullName;

    public void Dispose()
    {
        _backend.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Quantize_GivenStories260K_ShouldMatchTheReference() => Check("stories260K");

    [Fact(Explicit = true)]
    [Trait("Category", "Slow")]
    public void Quantize_GivenStories3M_ShouldMatchTheReference() => Check("stories3M");

    /// <remarks>Its feed-forward width of 172 is no multiple of a block: blocks run across rows.</remarks>
    [Theory]
    [InlineData(64, false)]
    [InlineData(64, true)]
    [InlineData(256, true)]
    public void Write_GivenStories260K_ShouldOpenWithTheSameLogits(int block, bool doubled)
    {
        using StoriesModel stories = new("stories260K");
        BlockwiseOptions options = new() { BlockSize = block, DoubleQuantization = doubled };
        IReadOnlyList<BlockwiseLayer> layers = BlockwiseModelQuantizer.Quantize(stories.Model, _backend, options);

        BitsAndBytesCheckpoint.Write(_folder, stories.Folder.Checkpoint, layers.ToDictionary(layer => layer.Report.Layer, layer => layer.Matrix));

        using ModelFolder again = ModelFolder.Open(_folder);
        int[] row = stories.Evaluation[0];
        Assert.Equal(Logits(stories.Model, row), Logits(again.Model, row));
        Assert.Equal(stories.Folder.Tokenizer.Encode("Once upon a time"), again.Tokenizer.Encode("Once upon a time"));
        Assert.Equal(doubled, ((BitsAndBytesConfig)again.Model.Config.Quantization!).DoubleQuantization);
    }

    private void Check(string name)
    {
        using StoriesModel stories = new(name);
        IReadOnlyList<BlockwiseLayer> layers = BlockwiseModelQuantizer.Quantize(stories.Model, _backend, new BlockwiseOptions());
        Assert.Equal(7 * stories.Model.Config.Layers, layers.Count);
        PerplexityResult result = stories.Measure(_backend);
        TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
            $"{name} | {Row} | {result.Perplexity:F4} | {Math.Exp(stories.Reference(Row)):F4}"));
        Assert.Equal(stories.Reference(Row), result.Nll, 1e-4);
    }

    private float[] Logits(LlamaModel model, int[] ids)
    {
        using ComputeScope scope = new(_backend);
        return model.Logits(scope, model.Forward(scope, ModelInput.Single(scope, ids))).ToArray();
    }
}
