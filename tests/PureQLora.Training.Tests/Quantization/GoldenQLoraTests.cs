using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>A LoRA adapter on a 4-bit GPTQ checkpoint, against float64 truth: loss, gradients, ten AdamW steps, merging.</summary>
public sealed class GoldenQLoraTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);
    private readonly ModelFolder _folder = ModelFolder.Open(RepositoryPaths.Fixture("quantization", "checkpoints", "gptq_b4_g64_sym"));
    private readonly GoldenTensors _golden = GoldenTensors.Read(RepositoryPaths.Fixture("quantization", "lora", "lora.safetensors"));
    private readonly JsonElement _figures;

    public GoldenQLoraTests()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("quantization", "lora", "lora.json")));
        _figures = document.RootElement.Clone();
        LoraInjection.Inject(Model, new LoraConfig { Rank = 8, Alpha = 16 }, seed: 1);
        SetAdapters(string.Empty);
    }

    private LlamaModel Model => _folder.Model;

    private IEnumerable<LinearLayer> Adapted => Model.Linears.Where(layer => layer.Adapter is not null);

    public void Dispose()
    {
        _folder.Dispose();
        _backend.Dispose();
    }

    [Fact]
    public void Backward_GivenAQuantizedBase_ShouldMatchFloat64()
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        ModelInput input = ModelInput.Rows(scope, _golden.Ints("input_ids"), 32);

        // 1e-4 for logits as for every quantised checkpoint; loss and gradients as the README suggests.
        GoldenTolerances.Near(1e-4, _golden.Floats("logits"), Model.Logits(scope, Model.Forward(scope, input)).ToArray(), "logits");
        Tensor loss = Model.Loss(scope, input, scope.From(Targets(), input.Ids.Shape), 48);
        Assert.Equal(_figures.GetProperty("loss").GetDouble(), loss.ToArray()[0], 1e-5);
        scope.Backward(loss);

        Assert.Equal(16, Model.TrainableParameters.Count);
        Assert.All(Model.TrainableParameters, parameter =>
        {
            float[] expected = _golden.Floats(parameter.Name.Replace(".weight", ".grad", StringComparison.Ordinal));
            GoldenTolerances.Near(1e-4 * expected.Max(Math.Abs), expected, parameter.Value.Grad!.ToArray(), parameter.Name);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Step_GivenAQuantizedBase_ShouldFollowTheFloat64Trajectory(bool checkpointing)
    {
        double[] losses = [.. _figures.GetProperty("losses_before_each_step_and_at_the_end").EnumerateArray().Select(loss => loss.GetDouble())];
        TrainingSample[] samples = [.. _golden.Ints("input_ids").Chunk(32).Zip(_golden.Ints("labels").Chunk(32), (ids, labels) => new TrainingSample(ids, labels))];
        TrainingOptions options = new() { Precision = Precision.Float32, Steps = losses.Length, BatchSize = 2, MaxGradNorm = 0, Checkpointing = checkpointing, Shuffle = false };
        LearningRateSchedule schedule = new() { Kind = ScheduleKind.Constant, BaseRate = 1e-2, TotalSteps = losses.Length };
        using Trainer trainer = new(Model, _backend, new BatchPlan(samples), options, schedule, new AdamWOptions());

        foreach (double expected in losses[..^1])
        {
            Assert.Equal(expected, trainer.Step().Loss, 1e-3);
        }

        // Judged by the root mean square: Adam lets elements whose gradient is near zero drift.
        (double squares, long count) = (0, 0);
        foreach (NamedParameter parameter in Model.TrainableParameters)
        {
            float[] expected = _golden.Floats(parameter.Name.Replace(".weight", ".after", StringComparison.Ordinal));
            squares += expected.Zip(parameter.Value.ToArray(), (e, a) => ((double)e - a) * ((double)e - a)).Sum();
            count += expected.Length;
        }

        Assert.InRange(Math.Sqrt(squares / count), 0, 1e-5);
        Assert.Equal(losses[^1], trainer.Step().Loss, 1e-3);
    }

    [Fact]
    public void Merge_GivenTheBaseInFullPrecision_ShouldMatchFloat64()
    {
        foreach (LinearLayer layer in Model.Linears)
        {
            layer.ReplaceWeight(new WeightMatrix(Tensor.From(layer.Weight.Quantized!.Dequantize(), new Shape(layer.Weight.OutDim, layer.Weight.InDim))));
        }

        LoraMerge.Merge(Model);

        string[] merged = [.. _golden.Names.Where(name => name.EndsWith(".merged", StringComparison.Ordinal))];
        Assert.Equal(2, merged.Length);
        Assert.All(merged, name =>
        {
            // One rounding to float32, of weights below 1.
            float[] weight = Adapted.Single(layer => name == $"{layer.Name}.merged").Weight.Dense!.ToArray();
            GoldenTolerances.Near(1e-7, _golden.Floats(name), weight, name);
        });
        Assert.Equal(_figures.GetProperty("merge_of_the_starting_adapter").GetProperty("merged_full_precision").GetDouble(), Loss(), 1e-5);
    }

    [Theory]
    [InlineData("merge_of_the_starting_adapter", "")]
    [InlineData("merge_of_the_trained_adapter", ".after")]
    public void MergeQuantized_GivenASymmetricBase_ShouldRoundOnASymmetricGridAndReportTheError(string figures, string suffix)
    {
        SetAdapters(suffix);
        float[][] wanted = [.. Adapted.Select(Merged)];

        IReadOnlyList<(string Layer, double RelativeError)> errors = LoraMerge.MergeQuantized(Model);

        Assert.Equal(8, errors.Count);
        foreach (((string name, double error), (LinearLayer layer, float[] exact)) in errors.Zip(Adapted.Zip(wanted)))
        {
            Assert.Equal(layer.Name, name);
            float[] actual = layer.Weight.Quantized!.Dequantize();
            double squares = exact.Zip(actual, (e, a) => ((double)e - a) * ((double)e - a)).Sum();
            Assert.Equal(Math.Sqrt(squares / exact.Sum(value => (double)value * value)), error, 1e-6);
            Assert.InRange(error, 0.01, 0.2);

            // A checkpoint that says it is symmetric is read by kernels that do not look at its zero points.
            Assert.All(Enumerable.Range(0, layer.Weight.OutDim * layer.Weight.Quantized.Groups), at =>
                Assert.Equal(8, layer.Weight.Quantized.Zero(at / layer.Weight.Quantized.Groups, at % layer.Weight.Quantized.Groups)));
        }

        // The reference keeps its scales in float64, ours are float16 as files store them; ties of symmetric grids fall either way.
        double reference = _figures.GetProperty(figures).GetProperty("merged_then_rtn_4bit_new_symmetric_grid").GetDouble();
        double loss = Loss();
        TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant($"{figures}: loss {loss:F4}, reference {reference:F4}, largest relative error {errors.Max(error => error.RelativeError):F4}"));
        Assert.InRange(loss, reference - 0.05, reference + 0.05);
    }

    private void SetAdapters(string suffix)
    {
        foreach (LinearLayer layer in Adapted)
        {
            _golden.Floats($"{layer.Name}.lora_A{suffix}").CopyTo(layer.Adapter!.A.Floats);
            _golden.Floats($"{layer.Name}.lora_B{suffix}").CopyTo(layer.Adapter.B.Floats);
        }
    }

    private int[] Targets()
    {
        int[] labels = _golden.Ints("labels");
        return [.. Enumerable.Range(0, labels.Length).Select(at => at % 32 == 31 ? CrossEntropy.Ignored : labels[at + 1])];
    }

    private double Loss()
    {
        using ComputeScope scope = new(_backend);
        ModelInput input = ModelInput.Rows(scope, _golden.Ints("input_ids"), 32);
        return Model.Loss(scope, input, scope.From(Targets(), input.Ids.Shape), 48).ToArray()[0];
    }

    private static float[] Merged(LinearLayer layer)
    {
        float[] merged = layer.Weight.Quantized!.Dequantize();
        (float[] a, float[] b) = (layer.Adapter!.A.ToArray(), layer.Adapter.B.ToArray());
        (int rank, int inDim) = (layer.Adapter.Rank, layer.Weight.InDim);
        for (int at = 0; at < merged.Length; at++)
        {
            double update = Enumerable.Range(0, rank).Sum(r => (double)b[(at / inDim * rank) + r] * a[(r * inDim) + (at % inDim)]);
            merged[at] = (float)(merged[at] + (layer.Adapter.Scale * update));
        }

        return merged;
    }
}
