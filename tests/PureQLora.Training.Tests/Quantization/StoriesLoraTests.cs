using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>The whole job on real text: GPTQ to four bits, LoRA on top, and the perplexity of text that neither has seen.</summary>
public sealed class StoriesLoraTests
{
    private const int Window = 256;

    [Fact(Explicit = true)]
    [Trait("Category", "Slow")]
    public void Train_GivenFourBitStories3M_ShouldPredictUnseenStoriesBetter()
    {
        using CpuBackend backend = new(threads: 2);
        using StoriesModel stories = new("stories3M");
        double full = stories.Measure(backend).Perplexity;
        GptqOptions gptq = new() { Bits = 4, GroupSize = 64 };
        ModelQuantizer.Quantize(stories.Model, backend, QuantizationMethod.Gptq, gptq, stories.Calibration);
        double quantized = stories.Measure(backend).Perplexity;

        // The stored windows come from the first 100,000 characters of the file, calibration from 1,500,000 on; training takes the end.
        string text = File.ReadAllText(RepositoryPaths.Shared("data", "text", "tinystories_val.txt"))[2_000_000..].Replace("<|endoftext|>", string.Empty, StringComparison.Ordinal);
        TrainingSample[] samples =
        [
            .. stories.Folder.Tokenizer.Encode(text).Chunk(Window).Where(row => row.Length == Window)
                .Select(row => (int[])[StoriesModel.BosId, .. row]).Select(ids => new TrainingSample(ids, ids)),
        ];
        LoraInjection.Inject(stories.Model, new LoraConfig { Rank = 8, Alpha = 16, TargetPattern = LoraConfig.AllLinear }, seed: 42);
        TrainingOptions options = new() { Precision = Precision.Float32, Steps = 150, BatchSize = 8, Checkpointing = false };
        LearningRateSchedule schedule = new() { Kind = ScheduleKind.Cosine, BaseRate = 1e-3, WarmupSteps = 10, TotalSteps = 150 };
        using Trainer trainer = new(stories.Model, backend, new BatchPlan(samples), options, schedule, new AdamWOptions());
        (double first, double last, double seconds) = (0, 0, 0);
        for (int step = 0; step < trainer.TotalSteps; step++)
        {
            StepMetrics metrics = trainer.Step();
            seconds += metrics.Seconds;
            first += step < 10 ? metrics.Loss / 10 : 0;
            last += step >= 140 ? metrics.Loss / 10 : 0;
        }

        double adapted = stories.Measure(backend).Perplexity;
        TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
            $"stories3M perplexity: {full:F4} in full precision, {quantized:F4} in 4 bits, {adapted:F4} with LoRA after 150 steps on {samples.Length} windows; training loss {first:F4} → {last:F4}, {seconds:F0} s"));
        Assert.True(adapted < quantized, $"LoRA took the perplexity of unseen stories from {quantized:F4} to {adapted:F4}; it must fall.");
    }
}
