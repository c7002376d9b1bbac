using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>QA-LoRA on real text: what a merge costs when nothing but the offsets is rounded.</summary>
public sealed class StoriesQaLoraTests
{
    private const int Window = 256;
    private const int Steps = 60;

    [Theory(Explicit = true)]
    [InlineData(4, 64, true)]
    [InlineData(2, 32, true)]
    [InlineData(4, 64, false)]
    [Trait("Category", "Slow")]
    public void Merge_GivenTrainedStories3M_ShouldKeepThePerplexity(int bits, int groupSize, bool grouped)
    {
        using CpuBackend backend = new(threads: 2);
        using StoriesModel stories = new("stories3M");
        ModelQuantizer.Quantize(stories.Model, backend, QuantizationMethod.Gptq, new GptqOptions { Bits = bits, GroupSize = groupSize }, stories.Calibration);
        double quantized = stories.Measure(backend).Perplexity;
        LoraConfig config = LoraInjection.ForBase(stories.Model, new LoraConfig { Rank = 8, Alpha = 16, TargetPattern = LoraConfig.AllLinear, UseQaLora = grouped });
        LoraInjection.Inject(stories.Model, config, seed: 42);
        Train(stories, backend);
        PerplexityResult adapted = stories.Measure(backend);

        if (!grouped)
        {
            LoraMerge.MergeQuantized(stories.Model);
            Report($"LoRA, {bits} bits g{groupSize}: {quantized:F4} quantised, {adapted.Perplexity:F6} with the adapter, {stories.Measure(backend).Perplexity:F6} merged and rounded again");
            return;
        }

        LoraMerge.MergeOffsets(stories.Model);
        string folder = Directory.CreateTempSubdirectory("pureqlora-qalora-").FullName;
        try
        {
            GptqCheckpoint.Write(
                folder,
                stories.Folder.Checkpoint,
                new GptqConfig { Bits = bits, GroupSize = groupSize, Symmetric = false },
                stories.Model.Linears.ToDictionary(layer => layer.Name, layer => layer.Weight.Quantized!),
                offsets: stories.Model.Linears.ToDictionary(layer => layer.Name, layer => layer.Weight.Offsets!));
            using ModelFolder merged = ModelFolder.Open(folder);
            PerplexityResult after = PerplexityEvaluator.Measure(merged.Model, backend, stories.Evaluation, StoriesModel.BosId);
            Report($"QA-LoRA, {bits} bits g{groupSize}: {quantized:F4} quantised, {adapted.Perplexity:F6} with the adapter, {after.Perplexity:F6} merged");
            Assert.True(adapted.Perplexity < quantized, $"Training took the perplexity from {quantized:F4} to {adapted.Perplexity:F4}; it must fall.");

            // 2⁻¹¹ of what the adapter changed.
            Assert.InRange(Math.Abs(after.Perplexity - adapted.Perplexity), 0, (quantized - adapted.Perplexity) / 2048);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Report(FormattableString text) => TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(text));

    private static void Train(StoriesModel stories, CpuBackend backend)
    {
        // The stored windows come from the first 100,000 characters of the file, calibration from 1,500,000 on; training takes the end.
        string text = File.ReadAllText(RepositoryPaths.Shared("data", "text", "tinystories_val.txt"))[2_000_000..].Replace("<|endoftext|>", string.Empty, StringComparison.Ordinal);
        TrainingSample[] samples =
        [
            .. stories.Folder.Tokenizer.Encode(text).Chunk(Window).Where(row => row.Length == Window)
                .Select(row => (int[])[StoriesModel.BosId, .. row]).Select(ids => new TrainingSample(ids, ids)),
        ];
        TrainingOptions options = new() { Precision = Precision.BFloat16, Steps = Steps, BatchSize = 8, Checkpointing = false };
        LearningRateSchedule schedule = new() { Kind = ScheduleKind.Cosine, BaseRate = 2e-3, WarmupSteps = 5, TotalSteps = Steps };
        using Trainer trainer = new(stories.Model, backend, new BatchPlan(samples), options, schedule, new AdamWOptions());
        for (int step = 0; step < trainer.TotalSteps; step++)
        {
            _ = trainer.Step();
        }
    }
}
