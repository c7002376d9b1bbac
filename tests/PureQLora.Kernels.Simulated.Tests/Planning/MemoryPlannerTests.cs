using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Models.Tests;
using PureQLora.Training;

namespace PureQLora.Kernels.Tests;

/// <summary>Plans of memory, for the shapes that have to fit and against what a device really gives out.</summary>
public sealed class MemoryPlannerTests : IDisposable
{
    private const long Gigabyte = 1_000_000_000;

    /// <summary>
    /// A plan may be this much above the truth: a pass is planned as one block, and each of the few blocks that it is made of in a rehearsal is
    /// rounded up by itself. Below it may never be.
    /// </summary>
    private const double Share = 1.02;

    private static readonly LlamaConfig TinyLlama = new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = 32_000,
        HiddenSize = 2048,
        IntermediateSize = 5632,
        Layers = 22,
        Heads = 32,
        KeyValueHeads = 4,
        HeadDim = 64,
        RmsNormEpsilon = 1e-5,
        MaxPositions = 2048,
        SlidingWindows = new int?[22],
    };

    private static readonly LlamaConfig Llama7B = TinyLlama with
    {
        HiddenSize = 4096,
        IntermediateSize = 11_008,
        Layers = 32,
        KeyValueHeads = 32,
        HeadDim = 128,
        MaxPositions = 4096,
        SlidingWindows = new int?[32],
    };

    private readonly SimulatedDevice _device = new(memory: 64 * Gigabyte);
    private readonly IlgpuBackend _backend;

    public MemoryPlannerTests() => _backend = new IlgpuBackend(_device);

    public void Dispose() => _backend.Dispose();

    [Fact]
    public void Training_GivenTinyLlama_ShouldFitFourGigabytes()
    {
        MemoryPlan plan = Plan(TinyLlama, rank: 8, tokens: 512);

        // 968 million weights of 4 bits with two float32 a group of 128, and two dense matrices of 32,000 × 2048 in bfloat16.
        Assert.InRange(plan.Weights, 0.80 * Gigabyte, 0.82 * Gigabyte);
        Assert.InRange(plan.Total + MemoryPlanner.DriverShare, 1 * Gigabyte, 4 * Gigabyte * 0.9);
    }

    [Fact]
    public void Training_GivenLlama7B_ShouldFitEightGigabytes()
    {
        MemoryPlan plan = Plan(Llama7B, rank: 8, tokens: 1024);

        Assert.InRange(plan.Weights, 4.1 * Gigabyte, 4.3 * Gigabyte);
        Assert.InRange(plan.Total + MemoryPlanner.DriverShare, 4.5 * Gigabyte, 8 * Gigabyte * 0.9);
    }

    [Fact]
    public void Training_GivenMoreOfAnything_ShouldTakeMore()
    {
        MemoryPlan plan = Plan(TinyLlama, rank: 8, tokens: 512);

        Assert.True(Plan(TinyLlama, rank: 16, tokens: 512).Adapters > 1.9 * plan.Adapters);
        Assert.True(Plan(TinyLlama, rank: 16, tokens: 512).Optimizer > 1.9 * plan.Optimizer);
        Assert.True(Plan(TinyLlama, rank: 8, tokens: 1024).Activations > 1.3 * plan.Activations);
        Assert.True(Plan(TinyLlama, rank: 8, tokens: 512, bits: 8).Weights > 1.5 * plan.Weights);
        Assert.True(Plan(TinyLlama, rank: 8, tokens: 512, checkpointing: false).Activations > 4 * plan.Activations);
    }

    [Fact]
    public void Training_WhenPlanned_ShouldTakeNothingOfTheDevice()
    {
        long before = _backend.MemoryUsed;

        _ = Plan(TinyLlama, rank: 8, tokens: 64);

        Assert.Equal(before, _backend.MemoryUsed);
        Assert.Equal(before, _backend.MemoryPeak);
    }

    [Theory]
    [InlineData(true, Precision.BFloat16, 0)]
    [InlineData(false, Precision.BFloat16, 0.1)]
    [InlineData(true, Precision.Float32, 0)]
    public void Training_GivenATrainer_ShouldTakeWhatWasPlanned(bool checkpointing, Precision precision, double dropout)
    {
        int[] ids = TinyModel.Ids(21, 5);
        TrainingOptions options = new() { Steps = 1, BatchSize = 2, Checkpointing = checkpointing, Precision = precision };
        using LlamaModel model = TinyModel.Create(dropout);
        MemoryPlan plan = new MemoryPlanner(_backend).Training(BaseShape.Of(model) with { Dropout = dropout }, options, 2 * ids.Length);

        model.MoveTo(_backend);
        using Trainer trainer = new(
            model, _backend, new BatchPlan([new TrainingSample(ids, ids)]), options, new LearningRateSchedule { TotalSteps = 1 }, new AdamWOptions());
        trainer.Reserve(plan.Activations);
        _ = trainer.Step();

        Assert.Equal(trainer.ReservedActivationBytes, plan.Activations);
        Assert.InRange(plan.Total, _backend.MemoryPeak, (long)(Share * _backend.MemoryPeak));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Training_GivenAWholeModel_ShouldTakeWhatWasPlanned(bool checkpointing)
    {
        int[] ids = TinyModel.Ids(17, 5);
        TrainingOptions options = new() { Steps = 1, BatchSize = 1, Checkpointing = checkpointing };
        using LlamaModel model = TinyModel.CreateTrainable();
        MemoryPlan plan = new MemoryPlanner(_backend).Training(BaseShape.Of(model), options, ids.Length);

        model.MoveTo(_backend);
        using Trainer trainer = new(
            model, _backend, new BatchPlan([new TrainingSample(ids, ids)]), options, new LearningRateSchedule { TotalSteps = 1 }, new AdamWOptions());
        trainer.Reserve(plan.Activations);
        _ = trainer.Step();

        long weights = model.ParameterCount * sizeof(float);
        Assert.Equal(weights, plan.Gradients);
        Assert.Equal(0, plan.Adapters);
        Assert.InRange(plan.Weights, weights, 1.1 * weights);

        // Laid end to end for the optimiser, the parameters are not rounded up one by one any more, which it is credited with.
        Assert.InRange(plan.Optimizer, 1.95 * weights, 2.1 * weights);
        Assert.Equal(trainer.ReservedActivationBytes, plan.Activations);
        Assert.InRange(plan.Total, _backend.MemoryPeak, (long)(Share * _backend.MemoryPeak));
    }

    [Theory]
    [InlineData(false, Precision.Float32, 3, 7)]
    [InlineData(false, Precision.BFloat16, 1, 19)]
    [InlineData(true, Precision.Float32, 2, 9)]
    public void Pass_GivenTheSamePass_ShouldTakeWhatWasPlanned(bool backward, Precision precision, int rows, int length)
    {
        int[] ids = TinyModel.Ids(rows * length, 4);
        void Pass(LlamaModel model, ComputeScope scope)
        {
            ModelInput input = ModelInput.Rows(scope, ids, length);
            if (backward)
            {
                scope.Backward(model.Loss(scope, input, scope.From(ids, new Shape(rows, length)), ids.Length));
            }
            else
            {
                _ = model.Logits(scope, model.Forward(scope, input));
            }
        }

        using LlamaModel model = TinyModel.Create();
        MemoryPlan plan = new MemoryPlanner(_backend).Pass("logits", BaseShape.Of(model), precision, backward, Pass);

        model.MoveTo(_backend);
        using ComputeScope scope = new(_backend, backward) { Precision = precision };
        Pass(model, scope);

        Assert.InRange(plan.Total, _backend.MemoryPeak, (long)(Share * _backend.MemoryPeak));
    }

    [Theory]
    [InlineData(1, 5, 4)]
    [InlineData(3, 12, 6)]
    public void Generation_GivenAGenerator_ShouldTakeWhatWasPlanned(int sequences, int prompt, int newTokens)
    {
        using LlamaModel model = TinyModel.Create();
        MemoryPlan plan = new MemoryPlanner(_backend).Generation(BaseShape.Of(model), Precision.BFloat16, sequences, prompt + newTokens);

        model.MoveTo(_backend);
        TextGenerator generator = new(model, PieceTokenizer.Numbered(TinyModel.Vocabulary), _backend) { Precision = Precision.BFloat16, StopIds = [] };
        int[][] prompts = [.. Enumerable.Range(0, sequences).Select(i => TinyModel.Ids(prompt - i, i))];
        Assert.All(generator.Generate(prompts, new SamplingOptions { MaxNewTokens = newTokens }), text => Assert.Equal(newTokens, text.Ids.Count));

        Assert.InRange(plan.Total, _backend.MemoryPeak, (long)(Share * _backend.MemoryPeak));
    }

    [Fact]
    public void Scoring_GivenAnEvaluator_ShouldTakeWhatWasPlanned()
    {
        int[][] windows = [TinyModel.Ids(15, 1), TinyModel.Ids(9, 2)];
        using LlamaModel model = TinyModel.Create();
        MemoryPlan plan = new MemoryPlanner(_backend).Scoring(BaseShape.Of(model), Precision.Float32, 24);

        model.MoveTo(_backend);
        _ = PerplexityEvaluator.Measure(model, _backend, windows, bosId: null);

        Assert.InRange(plan.Total, _backend.MemoryPeak, (long)(Share * _backend.MemoryPeak));
    }

    [Fact]
    public void MoveTo_WhenTheModelEnds_ShouldGiveEverythingBack()
    {
        long before = _backend.MemoryUsed;
        using (LlamaModel model = TinyModel.Create())
        {
            model.MoveTo(_backend);
            model.MoveTo(_backend);
            Assert.True(_backend.MemoryUsed > before + 50_000);
        }

        Assert.Equal(before, _backend.MemoryUsed);
    }

    [Fact]
    public void Require_GivenTooLittleMemory_ShouldNameWhatWouldDo()
    {
        SimulatedDevice small = new(memory: MemoryPlanner.DriverShare + (1100L << 20));
        using IlgpuBackend backend = new(small);
        MemoryPlanner planner = new(backend);
        BaseShape shape = Quantized(TinyLlama, 4).With(new LoraConfig { Rank = 8 });
        MemoryPlan Of(int tokens) => planner.Training(shape, new TrainingOptions { Precision = Precision.BFloat16 }, tokens);

        UserErrorException error = Assert.Throws<UserErrorException>(() => PlanRefusal.Require(
            planner, Of(2048), [.. PlanRefusal.Halves(2048, 32).Select(tokens => ($"data.maxLength={tokens}", (Func<MemoryPlan>)(() => Of(tokens)))), ("lora.rank=4", () => Of(2048))]));

        string length = Assert.Single(PlanRefusal.Halves(2048, 32).Where(tokens => planner.Fits(Of(tokens))).Take(1)).ToString(System.Globalization.CultureInfo.InvariantCulture);
        Assert.EndsWith($"each of these alone would do: data.maxLength={length}.", error.Message, StringComparison.Ordinal);
        Assert.Contains("1.07 GiB are free", error.Message, StringComparison.Ordinal);
        Assert.Contains("no single setting would do", Assert.Throws<UserErrorException>(() => PlanRefusal.Require(planner, Of(2048), [])).Message, StringComparison.Ordinal);
    }

    private MemoryPlan Plan(LlamaConfig config, int rank, int tokens, int bits = 4, bool checkpointing = true)
    {
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        MemoryPlan plan = new MemoryPlanner(_backend).Training(
            Quantized(config, bits).With(new LoraConfig { Rank = rank, TargetPattern = LoraConfig.AllLinear }),
            new TrainingOptions { Precision = Precision.BFloat16, Checkpointing = checkpointing },
            tokens);
        TestContext.Current.TestOutputHelper?.WriteLine($"{config.Layers} layers, rank {rank}, {tokens} tokens, {bits} bits: {plan}; {System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalMilliseconds:F0} ms");
        return plan;
    }

    private static BaseShape Quantized(LlamaConfig config, int bits) =>
        new BaseShape(config, DataType.BFloat16).After(new QuantizationRecipe { Bits = bits, GroupSize = 128 });
}
