using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>What calibration sees when the stages of a block are quantised one after the other, and beside the unquantised model.</summary>
public sealed class SequentialCalibrationTests : IDisposable
{
    private static readonly string[][] Stages = [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]];

    private readonly CpuBackend _backend = new(threads: 2);
    private readonly IReadOnlyList<int[]> _calibration;

    public SequentialCalibrationTests()
    {
        var random = new Random(6);
        _calibration = [.. Enumerable.Range(0, 60).Select(_ => Enumerable.Range(0, 40).Select(_ => random.Next(64)).ToArray())];
    }

    public void Dispose() => _backend.Dispose();

    [Fact]
    public void Sequential_GivenOneBlock_ShouldBeItsStagesQuantisedInTurn()
    {
        GptqOptions options = new() { Bits = 3, GroupSize = 16 };
        using LlamaModel expected = Model(1);
        foreach (string[] stage in Stages)
        {
            ModelQuantizer.Quantize(expected, _backend, QuantizationMethod.Gptq, options, _calibration, stage);
        }

        using LlamaModel plain = Model(1);
        ModelQuantizer.Quantize(plain, _backend, QuantizationMethod.Gptq, options, _calibration);
        using LlamaModel actual = Model(1);
        ModelQuantizer.Quantize(actual, _backend, QuantizationMethod.Gptq, options with { Refinements = Refinements.Sequential }, _calibration);

        Assert.All(expected.Linears.Zip(actual.Linears), pair => Assert.Equal(pair.First.Weight.Quantized!.Dequantize(), pair.Second.Weight.Quantized!.Dequantize()));
        Assert.NotEqual(plain.Linears.Last().Weight.Quantized!.Dequantize(), actual.Linears.Last().Weight.Quantized!.Dequantize());
    }

    [Theory]
    [InlineData(Refinements.Sequential)]
    [InlineData(Refinements.None)]
    public void Target_GivenStrengthZero_ShouldChangeNothing(Refinements others)
    {
        GptqOptions options = new() { Bits = 4, GroupSize = 16, Refinements = others };
        using LlamaModel expected = Model(2);
        ModelQuantizer.Quantize(expected, _backend, QuantizationMethod.Gptq, options, _calibration);
        using LlamaModel actual = Model(2);
        ModelQuantizer.Quantize(actual, _backend, QuantizationMethod.Gptq, options with { Refinements = others | Refinements.Target, TargetStrength = 0 }, _calibration);

        Assert.All(expected.Linears.Zip(actual.Linears), pair => Assert.Equal(pair.First.Weight.Quantized!.Dequantize(), pair.Second.Weight.Quantized!.Dequantize()));
    }

    [Theory]
    [InlineData(Refinements.Target | Refinements.Sequential, 1)]
    [InlineData(Refinements.Target, 2)]
    public void Target_GivenTheLastLayer_ShouldAimAtTheUnquantisedModelsOutput(Refinements refinements, int blocks)
    {
        GptqOptions options = new() { Bits = 2, GroupSize = 16, Refinements = refinements, TargetStrength = 1 };
        using LlamaModel dense = Model(blocks);
        using LlamaModel actual = Model(blocks);
        ModelQuantizer.Quantize(actual, _backend, QuantizationMethod.Gptq, options, _calibration);
        LinearLayer down = actual.Blocks[^1].FeedForward.Down;

        // With one block the stages before it are quantised when down is; without stages the block itself is not, only those before.
        using LlamaModel before = Model(blocks);
        foreach ((LinearLayer layer, LinearLayer done) in before.Linears.Zip(actual.Linears))
        {
            bool quantised = refinements == Refinements.Target ? !before.Blocks[^1].Linears.Contains(layer) : layer != before.Blocks[^1].FeedForward.Down;
            if (quantised)
            {
                layer.ReplaceWeight(done.Weight);
            }
        }

        (float[] exact, float[] inputs) = (InputsOf(dense), InputsOf(before));
        int columns = down.Weight.InDim;
        float[] weights = dense.Blocks[^1].FeedForward.Down.Weight.Dense!.ToArray();
        float[] target = Array.ConvertAll(ReferenceRefinement.Target(weights, exact, inputs, columns, options.Damping, 1), value => (float)value);
        HessianAccumulator accumulator = new(columns, down.Name);
        accumulator.Add(inputs, inputs.Length / columns);
        double[] hessian = accumulator.Complete();
        float[] expected = GptqQuantizer.Quantize(target, down.Weight.OutDim, hessian, options, down.Name).Dequantize();

        // Float32 here, float64 there: a weight near the middle between two codes may fall to either side, and takes others with it.
        float[] values = down.Weight.Quantized!.Dequantize();
        Assert.InRange(expected.Zip(values, (e, a) => Math.Abs(e - a) < 1e-4f ? 1.0 : 0).Average(), 0.98, 1);
        float[] plain = GptqQuantizer.Quantize(weights, down.Weight.OutDim, hessian, options, down.Name).Dequantize();
        Assert.InRange(plain.Zip(values, (e, a) => Math.Abs(e - a) < 1e-4f ? 1.0 : 0).Average(), 0, 0.9);
    }

    [Fact]
    public void Refined_GivenAnyNumberOfThreads_ShouldHaveTheSameBits()
    {
        GptqOptions options = new GptqOptions { Bits = 3, GroupSize = 16 }.Refined();
        using CpuBackend single = new(threads: 1);
        using LlamaModel expected = Model(2);
        ModelQuantizer.Quantize(expected, single, QuantizationMethod.Gptq, options, _calibration);
        using CpuBackend several = new(threads: 3);
        using LlamaModel actual = Model(2);
        IReadOnlyList<LayerQuantization> layers = ModelQuantizer.Quantize(actual, several, QuantizationMethod.Gptq, options, _calibration);

        Assert.All(expected.Linears.Zip(actual.Linears), pair => Assert.Equal(pair.First.Weight.Quantized!.Dequantize(), pair.Second.Weight.Quantized!.Dequantize()));
        Assert.Equal(actual.Linears.Select(layer => layer.Name), layers.Select(layer => layer.Layer));
    }

    [Fact]
    public void Refined_GivenSomeTargets_ShouldLeaveTheOthersDense()
    {
        using LlamaModel model = Model(2);
        IReadOnlyList<LayerQuantization> layers = ModelQuantizer.Quantize(
            model, _backend, QuantizationMethod.Gptq, new GptqOptions { GroupSize = 16 }.Refined(), _calibration, ["up_proj", "v_proj"]);

        Assert.Equal(4, layers.Count);
        Assert.All(model.Linears, layer => Assert.Equal(layer.ShortName is "up_proj" or "v_proj", layer.Weight.Quantized is not null));
    }

    private static LlamaModel Model(int blocks)
    {
        LlamaConfig config = new()
        {
            Family = ModelFamily.Llama,
            VocabularySize = 64,
            HiddenSize = 32,
            IntermediateSize = 48,
            Layers = blocks,
            Heads = 4,
            KeyValueHeads = 2,
            HeadDim = 8,
            RmsNormEpsilon = 1e-5,
            MaxPositions = 64,
            SlidingWindows = new int?[blocks],
        };
        return new LlamaModel(config, new RandomWeights(config, seed: 1, deviation: 0.2f));
    }

    /// <summary>What down_proj of the last block takes. [tokens, columns]</summary>
    private float[] InputsOf(LlamaModel model)
    {
        List<float> inputs = [];
        model.Blocks[^1].FeedForward.Down.InputObserver = x => inputs.AddRange(x.Floats);
        foreach (int[] sample in _calibration)
        {
            using ComputeScope scope = new(_backend);
            model.Forward(scope, ModelInput.Single(scope, sample));
        }

        return [.. inputs];
    }
}
