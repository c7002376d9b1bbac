using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>What it is worth that adapters know their base is quantised: loss on real text before training and after 200 steps.</summary>
public sealed class StoriesAdapterStartTests
{
    private const int Window = 256;
    private const int Steps = 200;

    [Theory(Explicit = true)]
    [Trait("Category", "Slow")]
    [InlineData(4, 64)]
    [InlineData(3, 64)]
    [InlineData(2, 32)]
    public void Train_GivenEachStart_ShouldBeginNearerToFullPrecision(int bits, int groupSize)
    {
        using CpuBackend backend = new(threads: 2);
        double[] perplexities = new double[3];
        foreach (AdapterStart start in Enum.GetValues<AdapterStart>())
        {
            using StoriesModel stories = new("stories3M");
            using ModelFolder full = ModelFolder.Open(stories.Folder.Path);
            GptqOptions gptq = new() { Bits = bits, GroupSize = groupSize, CalibrationPrecision = backend.PreferredPrecision };
            ModelQuantizer.Quantize(stories.Model, backend, QuantizationMethod.Gptq, gptq, stories.Calibration);
            double basePerplexity = stories.Measure(backend).Perplexity;
            LoraConfig lora = new() { Rank = 8, Alpha = 16, TargetPattern = LoraConfig.AllLinear };
            AdapterStartOptions options = new() { Start = start, Quantization = gptq, Seed = 42 };
            IReadOnlyList<AdapterStartResult> fits = AdapterInitialization.Inject(stories.Model, full.Model, backend, lora, options, stories.Calibration);
            double before = perplexities[(int)start] = stories.Measure(backend).Perplexity;

            using Trainer trainer = Trainer(stories, backend);
            StepMetrics step = trainer.Step();
            (double first, double last) = (step.Loss, 0);
            while (trainer.StepsDone < trainer.TotalSteps)
            {
                step = trainer.Step();
                last += trainer.StepsDone > Steps - 20 ? step.Loss / 20 : 0;
            }

            double after = stories.Measure(backend).Perplexity;
            double kept = fits.Count == 0 ? 1 : fits.Average(fit => fit.After / fit.Before);
            TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
                $"| {bits} | {groupSize} | {start} | {basePerplexity:F3} | {before:F3} | {first:F4} | {last:F4} | {after:F3} | {kept:F3} |"));
        }

        // Of a whole text: the loss of one batch is too noisy to rank two good starts.
        Assert.True(perplexities[(int)AdapterStart.Loftq] < perplexities[(int)AdapterStart.Zero]);
        Assert.True(perplexities[(int)AdapterStart.Error] < perplexities[(int)AdapterStart.Loftq]);
    }

    private static Trainer Trainer(StoriesModel stories, CpuBackend backend)
    {
        // The stored windows come from the first 100,000 characters of the file, calibration from 1,500,000 on; training takes the end.
        string text = File.ReadAllText(RepositoryPaths.Shared("data", "text", "tinystories_val.txt"))[2_000_000..].Replace("<|endoftext|>", string.Empty, StringComparison.Ordinal);
        TrainingSample[] samples =
        [
            .. stories.Folder.Tokenizer.Encode(text).Chunk(Window).Where(row => row.Length == Window)
                .Select(row => (int[])[StoriesModel.BosId, .. row[..^1]]).Select(ids => new TrainingSample(ids, ids)),
        ];
        TrainingOptions options = new() { Steps = Steps, BatchSize = 4, Checkpointing = false };
        LearningRateSchedule schedule = new() { Kind = ScheduleKind.Cosine, BaseRate = 1e-3, WarmupSteps = 10, TotalSteps = Steps };
        return new Trainer(stories.Model, backend, new BatchPlan(samples), options, schedule, new AdamWOptions());
    }
}
