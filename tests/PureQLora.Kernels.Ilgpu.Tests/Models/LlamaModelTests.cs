using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Models.Tests;
using PureQLora.Training;

namespace PureQLora.Kernels.Tests;

/// <summary>A model on the device beside the same one on the CPU engine.</summary>
/// <remarks>
/// Errors are relative, as Euclidean norms. In float32 the two differ in the order of sums alone: 3e-6 was the most of an adapter. In bfloat16 that turns
/// the rounding of operands the other way, which moves each by at most 2⁻⁷ of its value: 6e-3 was the most, where bfloat16 itself
/// is up to 3e-2 from float32.
/// </remarks>
public sealed class LlamaModelTests : KernelTest
{
    private const double Float32Error = 1e-5;
    private const double BFloat16Error = 1.0 / 128;

    [Fact]
    public void MoveTo_GivenTheCpu_ShouldLeaveEveryTensorWhereItIs()
    {
        using LlamaModel model = TinyModel.Create();
        NamedParameter[] before = [.. model.AllTensors()];
        WeightMatrix[] weights = [model.Head, .. model.Linears.Select(layer => layer.Weight)];

        model.MoveTo(Cpu);

        Assert.Equal(before, model.AllTensors());
        Assert.Equal(weights, [model.Head, .. model.Linears.Select(layer => layer.Weight)]);
    }

    [Fact]
    public void MoveTo_GivenADevice_ShouldKeepValuesAndParameters()
    {
        using LlamaModel model = TinyModel.Create();
        (string Name, bool Trains, float[] Values)[] before = [.. model.AllTensors().Select(tensor => (tensor.Name, tensor.Value.RequiresGrad, tensor.Value.ToArray()))];

        model.MoveTo(Gpu);

        Assert.Equal(before.Select(tensor => (tensor.Name, tensor.Trains)), model.AllTensors().Select(tensor => (tensor.Name, tensor.Value.RequiresGrad)));
        Assert.Equal(before.Select(tensor => tensor.Values), model.AllTensors().Select(tensor => tensor.Value.ToArray()));
        Assert.All(model.AllTensors(), tensor => Assert.True(Gpu.Reaches(tensor.Value.Storage), tensor.Name));
        Assert.All(model.TrainableParameters, parameter => Assert.True(Gpu.Reaches(parameter.Value.Grad!.Storage), parameter.Name));
    }

    [Fact]
    public void Perplexity_GivenADevice_ShouldBeThatOfTheCpu()
    {
        using LlamaModel expected = TinyModel.Create();
        using LlamaModel actual = TinyModel.Create();
        actual.MoveTo(Gpu);
        IReadOnlyList<int[]> windows = PerplexityEvaluator.Windows(TinyModel.Ids(12, 5), 8);

        double wanted = PerplexityEvaluator.Measure(expected, Cpu, windows, bosId: 1).Nll;
        double got = PerplexityEvaluator.Measure(actual, Gpu, windows, bosId: 1).Nll;

        Assert.Equal(wanted, got, Float32Error * wanted);
    }

    [Theory]
    [FastData(Precision.Float32, false, Float32Error)]
    [FastData(Precision.Float32, true, Float32Error)]
    [FastData(Precision.BFloat16, false, BFloat16Error)]
    [FastData(Precision.BFloat16, true, BFloat16Error)]
    public void Model_GivenPackedDocuments_ShouldHaveTheLogitsLossAndGradientsOfTheCpu(Precision precision, bool checkpoint, double error)
    {
        using LlamaModel expected = TinyModel.Create();
        using LlamaModel actual = TinyModel.Create();
        actual.MoveTo(Gpu);

        Pass cpu = Run(expected, Cpu, precision, checkpoint);
        Pass gpu = Run(actual, Gpu, precision, checkpoint);

        Near(cpu.Logits, gpu.Logits, error, "logits");
        Near(cpu.Loss, gpu.Loss, error, "loss");
        Assert.Equal(12, cpu.Gradients.Count);
        foreach ((string name, float[] gradient) in cpu.Gradients)
        {
            Near(gradient, gpu.Gradients[name], error, name);
        }
    }

    [FastFact]
    public void Model_GivenEveryWeightTrained_ShouldHaveTheGradientsOfTheCpu()
    {
        using LlamaModel expected = TinyModel.CreateTrainable();
        using LlamaModel actual = TinyModel.CreateTrainable();
        actual.MoveTo(Gpu);

        Pass cpu = Run(expected, Cpu, Precision.Float32, checkpoint: false);
        Pass gpu = Run(actual, Gpu, Precision.Float32, checkpoint: false);

        Near(cpu.Loss, gpu.Loss, Float32Error, "loss");
        Assert.Equal(expected.AllTensors().Select(tensor => tensor.Name), gpu.Gradients.Keys);
        foreach ((string name, float[] gradient) in cpu.Gradients)
        {
            Near(gradient, gpu.Gradients[name], Float32Error, name);
        }
    }

    /// <remarks>AdamW divides a gradient by its own size, so that the smallest, of which least is certain, count as much as the rest; with
    /// other ids one is now and then so near 0 that in bfloat16 not even its sign is certain.</remarks>
    [Theory]
    [FastData(Precision.Float32, true, 1e-4)]
    [FastData(Precision.BFloat16, false, 2 * BFloat16Error)]
    public void Trainer_GivenThreeSteps_ShouldFollowTheCpu(Precision precision, bool checkpoint, double error)
    {
        using LlamaModel expected = TinyModel.Create(dropout: 0.1);
        using LlamaModel actual = TinyModel.Create(dropout: 0.1);
        actual.MoveTo(Gpu);
        using Trainer cpu = Training(expected, Cpu, precision, checkpoint);
        using Trainer gpu = Training(actual, Gpu, precision, checkpoint);
        for (int step = 0; step < 3; step++)
        {
            StepMetrics wanted = cpu.Step();
            long before = Waits;
            StepMetrics got = gpu.Step();

            // The loss of each micro-batch and the norm; the first step also looks whether anything moved.
            Assert.True(step == 0 || Waits - before == 3, $"step {step} waited {Waits - before} times");

            Near([(float)wanted.Loss], [(float)got.Loss], error, $"loss of step {step}");
            Near([(float)wanted.GradNorm], [(float)got.GradNorm], error, $"norm of step {step}");
        }

        using LlamaModel start = TinyModel.Create();
        for (int i = 0; i < start.TrainableParameters.Count; i++)
        {
            (NamedParameter before, Tensor wanted, Tensor got) = (start.TrainableParameters[i], expected.TrainableParameters[i].Value, actual.TrainableParameters[i].Value);
            Near(Movement(before.Value, wanted), Movement(before.Value, got), error, before.Name);
        }
    }

    [FastFact]
    public void Trainer_GivenACheckpointOfADevice_ShouldGoOnBitForBit()
    {
        string folder = Directory.CreateTempSubdirectory("device-").FullName;
        try
        {
            using LlamaModel first = TinyModel.Create();
            using LlamaModel second = TinyModel.Create();
            first.MoveTo(Gpu);
            second.MoveTo(Gpu);
            using Trainer whole = Training(first, Gpu, Precision.BFloat16, checkpoint: false, accumulation: 1);
            using Trainer resumed = Training(second, Gpu, Precision.BFloat16, checkpoint: false, accumulation: 1);
            AdapterWeights weights = new(first, TinyModel.Lora());
            whole.Step();
            string saved = new CheckpointStore(folder, weights).Save(whole);
            Assert.True(weights.Equal(saved));
            double loss = whole.Step().Loss;

            Assert.False(weights.Equal(saved));
            Assert.Equal(1, new CheckpointStore(folder, new AdapterWeights(second, TinyModel.Lora())).RestoreNewest(resumed));
            Assert.Equal(loss, resumed.Step().Loss);
            Assert.Equal(
                whole.Optimizer.Parameters.Select(parameter => parameter.Value.ToArray()), resumed.Optimizer.Parameters.Select(parameter => parameter.Value.ToArray()));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [FastFact]
    public void Generator_GivenPromptsOfDifferentLengths_ShouldWriteWhatTheCpuWrites()
    {
        using LlamaModel expected = TinyModel.Create();
        using LlamaModel actual = TinyModel.Create();
        actual.MoveTo(Gpu);

        // The long prompt ends first, so that the other takes its place in the cache.
        int[][] prompts = [TinyModel.Ids(TinyModel.MaxPositions - 2, 1), TinyModel.Ids(5, 2)];
        SamplingOptions options = new() { Temperature = 0, MaxNewTokens = 5 };
        PieceTokenizer tokenizer = PieceTokenizer.Numbered(TinyModel.Vocabulary);

        int[][] wanted = [.. new TextGenerator(expected, tokenizer, Cpu).Generate(prompts, options).Select(generation => generation.Ids.ToArray())];
        int[][] got = [.. new TextGenerator(actual, tokenizer, Gpu).Generate(prompts, options).Select(generation => generation.Ids.ToArray())];

        Assert.Equal([3, 5], wanted.Select(ids => ids.Length));
        Assert.Equal(wanted, got);
    }

    private static Trainer Training(LlamaModel model, IBackend backend, Precision precision, bool checkpoint, int accumulation = 2)
    {
        // More than eight tokens: products of few rows are not rounded on a device.
        TrainingSample[] samples = [.. Enumerable.Range(0, 4).Select(i => TinyModel.Ids(10 + (3 * i), 30 + i)).Select(ids => new TrainingSample(ids, ids))];
        TrainingOptions options = new() { Steps = 3, BatchSize = 1, Accumulation = accumulation, Precision = precision, Checkpointing = checkpoint };
        LearningRateSchedule schedule = new() { Kind = ScheduleKind.Constant, BaseRate = 1e-3, TotalSteps = 3 };
        return new Trainer(model, backend, new BatchPlan(samples), options, schedule, new AdamWOptions { WeightDecay = 0.01 });
    }

    /// <summary>Two documents of 20 and 13 tokens in one row.</summary>
    private static Pass Run(LlamaModel model, IBackend backend, Precision precision, bool checkpoint)
    {
        int[] lengths = [20, 13];
        int[] positions = [.. lengths.SelectMany(length => Enumerable.Range(0, length))];
        int[] segments = [.. lengths.SelectMany((length, document) => Enumerable.Repeat(document, length))];
        int[] targets = TinyModel.Ids(positions.Length, 4);
        targets.AsSpan(0, 4).Fill(CrossEntropy.Ignored);
        Shape shape = new(1, positions.Length);
        using ComputeScope scope = new(backend, recordGradients: true) { Precision = precision };
        ModelInput input = new(scope.From(TinyModel.Ids(positions.Length, 3), shape), scope.From(positions, shape))
        {
            Segments = scope.From(segments, shape),
            Checkpoint = checkpoint,
        };
        float[] logits = model.Logits(scope, model.Forward(scope, input)).ToArray();
        Tensor loss = model.Loss(scope, input, scope.From(targets, shape), positions.Length - 4);
        scope.Backward(loss);
        return new Pass(logits, loss.ToArray(), model.TrainableParameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Value.Grad!.ToArray()));
    }

    private static float[] Movement(Tensor before, Tensor after) => [.. after.ToArray().Zip(before.ToArray(), (a, b) => a - b)];

    private static void Near(float[] expected, float[] actual, double error, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        double norm = Math.Sqrt(expected.Sum(value => (double)value * value));
        double difference = Math.Sqrt(expected.Zip(actual, (a, b) => ((double)a - b) * ((double)a - b)).Sum());
        Assert.True(norm > 0 && difference <= error * norm, $"{what}: relative error {difference / norm:E2}, allowed {error:E2}");
    }

    private sealed record Pass(float[] Logits, float[] Loss, IReadOnlyDictionary<string, float[]> Gradients);
}
