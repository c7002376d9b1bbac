using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>A real model quantised, written in the GPTQ layout, and opened again.</summary>
public sealed class StoriesCheckpointTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);
    private readonly string _folder = Directory.CreateTempSubdirectory("pureqlora-test-").FullName;

    public void Dispose()
    {
        _backend.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <remarks>Its feed-forward width of 172 fills no whole words below 8 bits: the last ones are padded.</remarks>
    [Theory]
    [InlineData(4, 64, true, false)]
    [InlineData(4, 32, false, true)]
    [InlineData(3, 32, false, false)]
    [InlineData(8, -1, false, false)]
    public void Write_GivenStories260KQuantized_ShouldOpenWithTheSameLogits(int bits, int groupSize, bool symmetric, bool actOrder) => CheckRoundTrip(
        "stories260K",
        new GptqOptions { Bits = bits, GroupSize = groupSize, Symmetric = symmetric, ActOrder = actOrder },
        []);

    [Theory(Explicit = true)]
    [Trait("Category", "Slow")]
    [InlineData(4, 64, false, false)]
    [InlineData(4, 64, true, true)]
    public void Write_GivenStories3MQuantized_ShouldOpenWithTheSameLogits(int bits, int groupSize, bool symmetric, bool actOrder) =>
        CheckRoundTrip("stories3M", new GptqOptions { Bits = bits, GroupSize = groupSize, Symmetric = symmetric, ActOrder = actOrder }, []);

    private void CheckRoundTrip(string name, GptqOptions options, string[] targets)
    {
        using StoriesModel stories = new(name);
        ModelQuantizer.Quantize(stories.Model, _backend, QuantizationMethod.Gptq, options, [.. stories.Calibration.Take(4)], targets);
        GptqConfig settings = new() { Bits = options.Bits, GroupSize = options.GroupSize, Symmetric = options.Symmetric, DescendingActivations = options.ActOrder };
        string target = Path.Combine(_folder, "quantized");

        GptqCheckpoint.Write(
            target,
            stories.Folder.Checkpoint,
            settings,
            stories.Model.Linears.Where(layer => layer.Weight.Quantized is not null).ToDictionary(layer => layer.Name, layer => layer.Weight.Quantized!));

        using ModelFolder again = ModelFolder.Open(target);
        int[] row = stories.Evaluation[0];
        Assert.Equal(Logits(stories.Model, row), Logits(again.Model, row));
        Assert.Equal(stories.Folder.Tokenizer.Encode("Once upon a time"), again.Tokenizer.Encode("Once upon a time"));
        GptqConfig stored = (GptqConfig)again.Model.Config.Quantization!;
        Assert.Equal((options.Bits, options.ActOrder), (stored.Bits, stored.DescendingActivations));
    }

    private float[] Logits(LlamaModel model, int[] ids)
    {
        using ComputeScope scope = new(_backend);
        return model.Logits(scope, model.Forward(scope, ModelInput.Single(scope, ids))).ToArray();
    }
}
