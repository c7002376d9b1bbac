using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>
/// Refined GPTQ on real models, on the stored calibration windows and on four times as many from the same place of the text. The bounds
/// are what the laboratory reached with float64, with a margin for another order of summation.
/// </summary>
public sealed class StoriesRefinementTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public void Dispose() => _backend.Dispose();

    [Theory]
    [InlineData("stories260K", 4, 64, 4.74)]
    public void Quantize_GivenStories260KRefined_ShouldStayBelowTheBound(string name, int bits, int groupSize, double bound) => Check(name, bits, groupSize, 64, bound);

    [Theory(Explicit = true)]
    [Trait("Category", "Slow")]
    [InlineData(4, 64, 64, 5.78)]
    [InlineData(3, 64, 64, 7.5)]
    [InlineData(2, 32, 64, 17)]
    [InlineData(4, 64, 256, 5.73)]
    [InlineData(3, 64, 256, 7.2)]
    public void Quantize_GivenStories3MRefined_ShouldStayBelowTheBound(int bits, int groupSize, int windows, double bound) =>
        Check("stories3M", bits, groupSize, windows, bound);

    private void Check(string name, int bits, int groupSize, int windows, double bound)
    {
        using StoriesModel stories = new(name);
        GptqOptions options = new GptqOptions { Bits = bits, GroupSize = groupSize }.Refined();
        IReadOnlyList<LayerQuantization> layers = ModelQuantizer.Quantize(
            stories.Model, _backend, QuantizationMethod.Gptq, options, windows == 64 ? stories.Calibration : stories.CalibrationOf(windows));

        PerplexityResult result = stories.Measure(_backend);
        TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
            $"{name} refined b{bits} g{groupSize}, {windows} windows: perplexity {result.Perplexity:F4}, proxy loss {layers.Sum(layer => layer.Loss):F3}"));
        Assert.InRange(result.Perplexity, 0, bound);
    }
}
