using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class MixedPrecisionTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);
    private readonly LlamaModel _model;
    private readonly IReadOnlyList<int[]> _calibration;

    public MixedPrecisionTests()
    {
        LlamaConfig config = new()
        {
            Family = ModelFamily.Llama,
            VocabularySize = 64,
            HiddenSize = 64,
            IntermediateSize = 96,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            HeadDim = 16,
            RmsNormEpsilon = 1e-5,
            MaxPositions = 64,
            SlidingWindows = new int?[2],
        };
        _model = new LlamaModel(config, new RandomWeights(config, seed: 1, deviation: 0.2f));
        var random = new Random(6);
        _calibration = [.. Enumerable.Range(0, 20).Select(_ => Enumerable.Range(0, 24).Select(_ => random.Next(64)).ToArray())];
    }

    public void Dispose()
    {
        _model.Dispose();
        _backend.Dispose();
    }

    [Fact]
    public void Divergence_GivenAChangedLayer_ShouldBeThatOfItsPredictions()
    {
        int[][] samples = [.. _calibration.Take(3)];
        using Arena arena = new(_backend);
        LogitProbe probe = new(_model, arena, samples, Precision.Float32);
        Assert.InRange(probe.Divergence(), 0, 1e-6);
        probe.Advance();
        double[][] before = [.. samples.Select(LogProbabilities)];
        LinearLayer layer = _model.Blocks[1].Attention.Value;
        layer.ReplaceWeight(new WeightMatrix(RoundToNearestQuantizer.Quantize(layer.Weight.Dense!.ToArray(), layer.Weight.OutDim, new GptqOptions { Bits = 2 }, "layer").ToMatrix()));

        double expected = samples.Select((sample, i) => before[i].Zip(LogProbabilities(sample), (p, q) => Math.Exp(p) * (p - q)).Sum()).Sum() / samples.Sum(sample => sample.Length);

        Assert.InRange(probe.Divergence() / expected, 0.999, 1.001);
        Assert.InRange(expected, 1e-4, 10);
    }

    [Fact]
    public void Plan_GivenABudget_ShouldKeepToItAndLeaveTheModelAsItIs()
    {
        MixedPrecisionPlan plan = MixedPrecision.Plan(_model, _backend, new GptqOptions().Refined(), _calibration, 3.9);

        Assert.InRange(plan.AverageBits, 3.5, 3.9);
        long stored = _model.Linears.Sum(layer => plan.Settings[layer.Name].StoredBits(layer.Weight.OutDim, layer.Weight.InDim));
        Assert.Equal(plan.AverageBits, stored / (double)_model.Linears.Sum(layer => layer.Weight.OutDim * layer.Weight.InDim), 1e-12);
        Assert.All(_model.Blocks, block => Assert.Equal(plan.Settings[block.Attention.Query.Name], plan.Settings[block.Attention.Value.Name]));
        Assert.All(_model.Blocks, block => Assert.Equal(plan.Settings[block.FeedForward.Gate.Name], plan.Settings[block.FeedForward.Up.Name]));
        Assert.All(_model.Linears, layer => Assert.True(layer.Weight.Dense is not null));

        // No setting for all layers that is as small may be better than the plan, nor the frontier rise.
        Assert.All(plan.Uniform.Where(point => point.AverageBits <= plan.AverageBits), point => Assert.True(point.Error >= plan.Error));
        Assert.All(plan.Frontier.Zip(plan.Frontier.Skip(1)), pair => Assert.True(pair.First.AverageBits < pair.Second.AverageBits && pair.First.Error > pair.Second.Error));
    }

    [Fact]
    public void Quantize_GivenAPlan_ShouldGiveEveryLayerItsSettings()
    {
        MixedPrecisionPlan plan = MixedPrecision.Plan(_model, _backend, new GptqOptions(), _calibration, 4.5, ["q_proj", "down_proj"]);

        ModelQuantizer.Quantize(
            _model, _backend, QuantizationMethod.Gptq, new GptqOptions().Refined(), _calibration, ["q_proj", "down_proj"], settings: plan.Settings);

        Assert.Equal(4, plan.Settings.Count);
        Assert.All(plan.Settings, layer =>
        {
            QuantizedMatrix matrix = _model.Linears.Single(linear => linear.Name == layer.Key).Weight.Quantized!;
            Assert.Equal((layer.Value.Bits, Math.Min(layer.Value.GroupSize, matrix.InDim)), (matrix.Bits, matrix.GroupSize));
        });
    }

    [Theory]
    [InlineData(1.5)]
    [InlineData(9)]
    [InlineData(double.NaN)]
    public void Plan_GivenAnAverageOutOfReach_ShouldSayWhatIsAllowed(double average)
    {
        UserErrorException error = Assert.Throws<UserErrorException>(() => MixedPrecision.Plan(_model, _backend, new GptqOptions(), _calibration, average));
        Assert.Contains("allowed for this model are 2.3", error.Message, StringComparison.Ordinal);
    }

    /// <summary>[tokens, vocabulary]</summary>
    private double[] LogProbabilities(int[] sample)
    {
        using ComputeScope scope = new(_backend);
        float[] logits = _model.Logits(scope, _model.Forward(scope, ModelInput.Single(scope, sample))).ToArray();
        return [.. logits.Chunk(64).SelectMany(row =>
        {
            double logSum = Math.Log(row.Sum(value => Math.Exp(value)));
            return row.Select(value => value - logSum);
        })];
    }
}
