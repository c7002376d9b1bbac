using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>A LoRA adapter on an NF4 checkpoint of transformers, beside the same adapter on the dense model of its values.</summary>
public sealed class Nf4LoraTests : IDisposable
{
    private const int Length = 32;
    private const int Steps = 8;

    private readonly CpuBackend _backend = new(threads: 2);
    private readonly ModelFolder _folder = ModelFolder.Open(RepositoryPaths.Fixture("quantization", "bnb", "llama_nf4_double"));
    private readonly ModelFolder _dense = ModelFolder.Open(RepositoryPaths.Fixture("quantization", "bnb", "llama_nf4_double"));
    private readonly GoldenTensors _golden = GoldenTensors.Read(RepositoryPaths.Fixture("quantization", "lora", "lora.safetensors"));

    public Nf4LoraTests()
    {
        foreach (LinearLayer layer in _dense.Model.Linears)
        {
            layer.ReplaceWeight(new WeightMatrix(Tensor.From(layer.Weight.Quantized!.Dequantize(), new Shape(layer.Weight.OutDim, layer.Weight.InDim))));
        }

        foreach (LlamaModel model in new[] { _folder.Model, _dense.Model })
        {
            LoraInjection.Inject(model, new LoraConfig { Rank = 8, Alpha = 16 }, seed: 1);
            foreach (LinearLayer layer in model.Linears.Where(layer => layer.Adapter is not null))
            {
                _golden.Floats($"{layer.Name}.lora_A").CopyTo(layer.Adapter!.A.Floats);
                _golden.Floats($"{layer.Name}.lora_B").CopyTo(layer.Adapter.B.Floats);
            }
        }
    }

    public void Dispose()
    {
        _folder.Dispose();
        _dense.Dispose();
        _backend.Dispose();
    }

    [Fact]
    public void Backward_GivenABaseOfNf4_ShouldMatchTheDenseModel()
    {
        // In float32 the two differ by the order of sums only.
        double expected = Loss(_dense.Model, Precision.Float32);
        Assert.Equal(expected, Loss(_folder.Model, Precision.Float32), 1e-5);
        Assert.Equal(16, _folder.Model.TrainableParameters.Count);
        foreach ((NamedParameter want, NamedParameter got) in _dense.Model.TrainableParameters.Zip(_folder.Model.TrainableParameters))
        {
            float[] gradient = want.Value.Grad!.ToArray();
            Assert.InRange(gradient.Max(Math.Abs), 1e-6f, float.MaxValue);
            GoldenTolerances.Near(1e-4 * gradient.Max(Math.Abs), gradient, got.Value.Grad!.ToArray(), got.Name);
        }
    }

    [Fact]
    public void Backward_GivenBFloat16_ShouldRoundTheValuesAsTheDenseModelDoes()
    {
        double expected = Loss(_dense.Model, Precision.BFloat16);
        Assert.Equal(expected, Loss(_folder.Model, Precision.BFloat16), 1e-3);
        foreach ((NamedParameter want, NamedParameter got) in _dense.Model.TrainableParameters.Zip(_folder.Model.TrainableParameters))
        {
            (float[] wanted, float[] actual) = (want.Value.Grad!.ToArray(), got.Value.Grad!.ToArray());
            double norm = Math.Sqrt(wanted.Sum(value => (double)value * value));
            double error = Math.Sqrt(wanted.Zip(actual, (w, a) => ((double)w - a) * (w - a)).Sum());

            // Another order of sums may turn the rounding of an operand the other way, by 2⁻⁸ of its value.
            Assert.InRange(error, 0, norm / 128);
        }
    }

    [Fact]
    public void Step_GivenABaseOfNf4_ShouldFollowTheDenseModel()
    {
        double[][] losses = [.. new[] { _dense.Model, _folder.Model }.Select(Train)];
        Assert.InRange(losses[1][^1], 0, losses[1][0] / 2);
        for (int step = 0; step < losses[0].Length; step++)
        {
            Assert.Equal(losses[0][step], losses[1][step], 1e-3);
        }
    }

    private double[] Train(LlamaModel model)
    {
        TrainingSample[] samples = [.. _golden.Ints("input_ids").Chunk(Length).Zip(_golden.Ints("labels").Chunk(Length), (ids, labels) => new TrainingSample(ids, labels))];
        TrainingOptions options = new() { Precision = Precision.Float32, Steps = Steps, BatchSize = 2, MaxGradNorm = 0, Shuffle = false };
        LearningRateSchedule schedule = new() { Kind = ScheduleKind.Constant, BaseRate = 1e-2, TotalSteps = Steps };
        using Trainer trainer = new(model, _backend, new BatchPlan(samples), options, schedule, new AdamWOptions());
        return [.. Enumerable.Range(0, Steps).Select(_ => (double)trainer.Step().Loss)];
    }

    private double Loss(LlamaModel model, Precision precision)
    {
        using ComputeScope scope = new(_backend, recordGradients: true) { Precision = precision };
        ModelInput input = ModelInput.Rows(scope, _golden.Ints("input_ids"), Length);
        int[] labels = _golden.Ints("labels");
        int[] targets = [.. Enumerable.Range(0, labels.Length).Select(at => at % Length == Length - 1 ? CrossEntropy.Ignored : labels[at + 1])];
        Tensor loss = model.Loss(scope, input, scope.From(targets, input.Ids.Shape), 48);
        scope.Backward(loss);
        return loss.ToArray()[0];
    }
}
