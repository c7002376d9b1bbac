using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Sequences so long that the feed-forward network of a checkpointed block takes them in parts.</summary>
public sealed class CheckpointedLoraTests : IDisposable
{
    private static readonly LlamaConfig Config = new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = 50,
        HiddenSize = 32,
        IntermediateSize = 96,
        Layers = 2,
        Heads = 2,
        KeyValueHeads = 1,
        HeadDim = 16,
        MaxPositions = 1024,
        RmsNormEpsilon = 1e-5,
        SlidingWindows = [null, null],
    };

    private readonly CpuBackend _backend = new(threads: 2);

    public void Dispose() => _backend.Dispose();

    [Theory]
    [InlineData("q_proj,v_proj", DataType.Float32)]
    [InlineData("q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj", DataType.Float32)]
    [InlineData("gate_proj,down_proj", DataType.Float32)]
    [InlineData("q_proj,down_proj", DataType.BFloat16)]
    public void Backward_GivenSevenHundredTokens_ShouldGiveTheGradientsOfKeptActivations(string targets, DataType activations)
    {
        (float loss, float[][] gradients) kept = Run(targets, checkpoint: false, DataType.Float32);
        (float loss, float[][] gradients) checkpointed = Run(targets, checkpoint: true, activations);

        // Sums over 700 tokens in two parts; bfloat16 between the blocks rounds to 2⁻⁹ of each value.
        float tolerance = activations == DataType.Float32 ? 1e-5f : 2e-2f;
        Assert.Equal(kept.loss, checkpointed.loss, tolerance);
        Assert.Equal(kept.gradients.Length, checkpointed.gradients.Length);
        foreach ((float[] expected, float[] actual) in kept.gradients.Zip(checkpointed.gradients))
        {
            float norm = MathF.Sqrt(expected.Sum(g => g * g));
            float distance = MathF.Sqrt(expected.Zip(actual).Sum(pair => (pair.First - pair.Second) * (pair.First - pair.Second)));
            Assert.InRange(norm, 1e-7f, float.MaxValue);
            Assert.InRange(distance / norm, 0f, tolerance);
        }
    }

    private (float Loss, float[][] Gradients) Run(string targets, bool checkpoint, DataType activations)
    {
        using LlamaModel model = new(Config, new RandomWeights(Config, seed: 3, deviation: 0.2f));
        LoraInjection.Inject(model, new LoraConfig { Rank = 4, Alpha = 8, TargetModules = targets.Split(',') }, seed: 1);
        foreach (NamedParameter parameter in model.TrainableParameters)
        {
            // B starts at zero, and so would the gradient of A.
            Span<float> values = parameter.Value.Floats;
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = 0.1f * MathF.Sin(i + values.Length);
            }
        }

        int[] ids = [.. Enumerable.Range(0, 700).Select(i => i * i % Config.VocabularySize)];
        using ComputeScope scope = new(_backend, recordGradients: true);
        ModelInput input = ModelInput.Single(scope, ids) with { Checkpoint = checkpoint, ActivationType = activations };
        Tensor targetIds = scope.From([.. ids[1..], CrossEntropy.Ignored], new Shape(1, ids.Length));
        Tensor loss = model.Loss(scope, input, targetIds, ids.Length - 1);
        scope.Backward(loss);
        return (loss.Floats[0], [.. model.TrainableParameters.Select(parameter => parameter.Value.Grad!.ToArray())]);
    }
}
