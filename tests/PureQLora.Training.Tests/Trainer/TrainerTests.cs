using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>Optimiser steps: accumulation, packing, precision, safeguards, allocation.</summary>
public sealed class TrainerTests : IDisposable
{
    private const int Vocabulary = 60;

    private readonly CpuBackend _backend = new(2);

    public void Dispose() => _backend.Dispose();

    [Fact]
    public void Step_GivenTwoTimesFourOrOneTimesEight_ShouldUpdateAlike()
    {
        TrainingSample[] samples = Samples(8, 5, 40);
        LlamaModel accumulated = Model();
        LlamaModel whole = Model();
        StepMetrics first = Steps(accumulated, samples, new() { BatchSize = 4, Accumulation = 2, Steps = 3, Precision = Precision.Float32 })[^1];
        StepMetrics second = Steps(whole, samples, new() { BatchSize = 8, Accumulation = 1, Steps = 3, Precision = Precision.Float32 })[^1];

        Assert.Equal(second.SupervisedTokens, first.SupervisedTokens);

        // float32 sums in another order: about 1e-7 relative, which AdamW's division by √v can only shrink or keep.
        Assert.Equal(second.Loss, first.Loss, 1e-5);
        Assert.Equal(second.GradNorm, first.GradNorm, 1e-5 * second.GradNorm);
        ShouldBeNear(Parameters(whole), Parameters(accumulated), 2e-5f);
    }

    [Fact]
    public void Step_GivenSamplesWithFewAndManyLabels_ShouldNormaliseByTokensAndNotByBatches()
    {
        // A mean of means would weigh the single label of one sample as much as all of the other's.
        TrainingSample[] samples = [Sample(30, 1, 1), Sample(30, 29, 2)];

        double together = Steps(Model(), samples, new() { BatchSize = 2, Steps = 1 })[0].Loss;
        double accumulated = Steps(Model(), samples, new() { BatchSize = 1, Accumulation = 2, Steps = 1 })[0].Loss;
        double few = Steps(Model(), [samples[0]], new() { BatchSize = 1, Steps = 1 })[0].Loss;
        double many = Steps(Model(), [samples[1]], new() { BatchSize = 1, Steps = 1 })[0].Loss;

        Assert.Equal(together, accumulated, 1e-5);
        Assert.Equal((few + (29 * many)) / 30, accumulated, 1e-5);
        Assert.NotEqual((few + many) / 2, accumulated, 1e-3);
    }

    [Fact]
    public void Step_GivenPackedRows_ShouldLoseAsSamplesApart()
    {
        TrainingSample[] samples = Samples(9, 6, 30);
        BatchPlan packed = new(samples, packedLength: 64);
        Assert.True(packed.Rows < samples.Length);

        StepMetrics apart = Steps(Model(), samples, new() { BatchSize = samples.Length, Steps = 1, Shuffle = false, Precision = Precision.Float32 })[0];
        StepMetrics together = Steps(Model(), packed, new() { BatchSize = packed.Rows, Steps = 1, Shuffle = false, Precision = Precision.Float32 })[0];

        Assert.Equal(apart.SupervisedTokens, together.SupervisedTokens);
        Assert.Equal(apart.Loss, together.Loss, 1e-5);
        Assert.Equal(apart.GradNorm, together.GradNorm, 1e-5 * apart.GradNorm);
    }

    [Fact]
    public void Step_GivenBFloat16Activations_ShouldStayNearFloat32()
    {
        TrainingSample[] samples = Samples(4, 5, 30);
        StepMetrics[] full = Steps(Model(), samples, new() { BatchSize = 4, Steps = 4 });
        StepMetrics[] half = Steps(Model(), samples, new() { BatchSize = 4, Steps = 4, Activations = DataType.BFloat16 });

        // Eight bits of mantissa between the blocks: about 2⁻⁹ relative each time.
        Assert.All(full.Zip(half), pair => Assert.Equal(pair.First.Loss, pair.Second.Loss, 2e-2 * pair.First.Loss));
        Assert.NotEqual(full[0].Loss, half[0].Loss);
    }

    [Fact]
    public void Step_GivenCheckpointing_ShouldChangeNothing()
    {
        TrainingSample[] samples = Samples(4, 5, 30);
        LlamaModel with = Model(dropout: 0.2f);
        LlamaModel without = Model(dropout: 0.2f);
        _ = Steps(with, samples, new() { BatchSize = 2, Steps = 4, Checkpointing = true });
        _ = Steps(without, samples, new() { BatchSize = 2, Steps = 4, Checkpointing = false });

        Assert.Equal(Parameters(without), Parameters(with));
    }

    [Fact]
    public void Step_GivenWarmedUpTrainer_ShouldAllocateNextToNothing()
    {
        LlamaModel model = Model(dropout: 0.1f, layers: 4);
        using Trainer trainer = NewTrainer(model, new BatchPlan(Samples(16, 30, 60)), new() { BatchSize = 4, Accumulation = 2, Steps = 1000 });
        for (int i = 0; i < 12; i++)
        {
            _ = trainer.Step();
        }

        long allocated = Allocation.Of(() => trainer.Step());

        Assert.True(allocated <= 4096, $"a step allocated {allocated} bytes, allowed 4096");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Step_GivenPoisonedWeight_ShouldNameStepAndLayerAndKeepTheWeights(int layer)
    {
        LlamaModel model = Model();
        using Trainer trainer = NewTrainer(model, new BatchPlan(Samples(4, 5, 30)), new() { BatchSize = 2, Steps = 10 });
        _ = trainer.Step();
        model.Blocks[layer].InputNorm.Floats[3] = float.NaN;
        float[] before = Parameters(model);

        TrainingFailedException failed = Assert.Throws<TrainingFailedException>(() => trainer.Step());

        Assert.Contains("step 2", failed.Message, StringComparison.Ordinal);
        Assert.Contains($"model.layers.{layer}.", failed.Message, StringComparison.Ordinal);
        Assert.Equal(before, Parameters(model));
        Assert.Equal(1, trainer.StepsDone);
    }

    [Fact]
    public void Step_GivenRateLostInRounding_ShouldStop()
    {
        LlamaModel model = Model();
        foreach (LinearLayer layer in model.Linears)
        {
            layer.Adapter!.B.Floats.Fill(1f);
        }

        using Trainer trainer = NewTrainer(model, new BatchPlan(Samples(4, 5, 30)), new() { BatchSize = 2, Steps = 10 }, rate: 1e-12);

        TrainingFailedException failed = Assert.Throws<TrainingFailedException>(() => trainer.Step());
        Assert.Contains("lora_B of 14 of 14", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Step_GivenAdapterThatGetsNoGradient_ShouldNameIt()
    {
        LlamaModel model = Model();

        // Scale 0 blocks the way into B of this layer alone.
        LinearLayer blocked = model.Blocks[1].FeedForward.Up;
        blocked.Adapter = new LoraAdapter(blocked.Adapter!.A, blocked.Adapter.B, 0f, 0f);
        using Trainer trainer = NewTrainer(model, new BatchPlan(Samples(4, 5, 30)), new() { BatchSize = 2, Steps = 10 });

        TrainingFailedException failed = Assert.Throws<TrainingFailedException>(() => trainer.Step());
        Assert.Contains("lora_B of 1 of 14", failed.Message, StringComparison.Ordinal);
        Assert.Contains("model.layers.1.mlp.up_proj", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FullWeights_GivenSavedModel_ShouldComeBackBitForBit()
    {
        string folder = Directory.CreateTempSubdirectory("pureqlora-full-").FullName;
        LlamaModel model = new(TinyRun.Config(Vocabulary), new RandomWeights(TinyRun.Config(Vocabulary), 3));
        model.MakeTrainable();
        _ = Steps(model, Samples(4, 5, 30), new() { BatchSize = 2, Steps = 2 });
        new FullWeights(model).Save(folder);
        float[] trained = Parameters(model);
        _ = Steps(model, Samples(4, 5, 30), new() { BatchSize = 2, Steps = 1 });
        Assert.NotEqual(trained, Parameters(model));

        new FullWeights(model).Load(folder);

        Assert.Equal(trained, Parameters(model));
        Directory.Delete(folder, recursive: true);
    }

    private static LlamaModel Model(float dropout = 0f, int layers = 2)
    {
        LlamaConfig config = TinyRun.Config(Vocabulary, layers: layers);
        LlamaModel model = new(config, new RandomWeights(config, 3, 0.1f));
        _ = LoraInjection.Inject(model, new LoraConfig { Rank = 4, Alpha = 8, Dropout = dropout, TargetPattern = LoraConfig.AllLinear }, seed: 4);
        return model;
    }

    private static TrainingSample[] Samples(int count, int shortest, int longest)
    {
        Random random = new(9);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            int length = random.Next(shortest, longest + 1);
            return Sample(length, Math.Max(1, length / 2), 100 + i);
        })];
    }

    /// <summary>A sample whose last labels are supervised.</summary>
    private static TrainingSample Sample(int length, int supervised, int seed)
    {
        Random random = new(seed);
        int[] ids = [.. Enumerable.Range(0, length).Select(_ => random.Next(Vocabulary))];
        int[] labels = [.. ids];
        labels.AsSpan(0, length - supervised).Fill(TrainingSample.NoLabel);
        return new TrainingSample(ids, labels);
    }

    private Trainer NewTrainer(LlamaModel model, BatchPlan plan, TrainingOptions options, double rate = 1e-3) => new(
        model, _backend, plan, options, new LearningRateSchedule { Kind = ScheduleKind.Constant, BaseRate = rate, TotalSteps = options.TotalSteps(plan.Rows) }, new AdamWOptions { Epsilon = 1e-4 });

    private StepMetrics[] Steps(LlamaModel model, TrainingSample[] samples, TrainingOptions options) => Steps(model, new BatchPlan(samples), options);

    private StepMetrics[] Steps(LlamaModel model, BatchPlan plan, TrainingOptions options)
    {
        using Trainer trainer = NewTrainer(model, plan, options);
        return [.. Enumerable.Range(0, trainer.TotalSteps).Select(_ => trainer.Step())];
    }

    private static float[] Parameters(LlamaModel model) => [.. model.TrainableParameters.SelectMany(parameter => parameter.Value.ToArray())];

    private static void ShouldBeNear(float[] expected, float[] actual, float tolerance)
    {
        float worst = expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max();
        Assert.True(worst <= tolerance, $"off by {worst}, allowed {tolerance}");
    }
}
