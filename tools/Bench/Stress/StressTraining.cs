using System.Runtime.InteropServices;
using System.Text;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Bench;

/// <summary>
/// A few LoRA steps on 4-bit weights. Cancelled, it stores a checkpoint and goes on from it with a new model and a new trainer, so
/// that losses and adapter must be those of an undisturbed run.
/// </summary>
/// <param name="config">The model.</param>
/// <param name="groupSize">Weights that share a scale.</param>
/// <param name="options">Precision, checkpointing, batches.</param>
internal sealed class StressTraining(LlamaConfig config, int groupSize, TrainingOptions options) : StressUnit(
    $"training, {options.Precision!.Value.Name()}{(options.Checkpointing ? ", checkpointing" : "")}")
{
    private const int Samples = 5;

    private static readonly LoraConfig Lora = new() { Rank = 8, TargetPattern = LoraConfig.AllLinear, Dropout = 0.05 };

    /// <inheritdoc/>
    public override StressOutcome Run(CpuBackend backend, CancellationToken cancellationToken)
    {
        string folder = Path.Combine(Path.GetTempPath(), $"pureqlora-stress-{Guid.NewGuid():N}");
        StringBuilder steps = new();
        try
        {
            string? adapter = Train(backend, folder, steps, cancellationToken);
            bool interrupted = adapter is null;
            adapter ??= Train(backend, folder, steps, CancellationToken.None)!;
            return new StressOutcome([steps.ToString(), adapter], interrupted, Complete: true);
        }
        finally
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    /// <summary>Goes on from what the folder holds; gives the adapter's fingerprint, or null where it was cancelled.</summary>
    private string? Train(CpuBackend backend, string folder, StringBuilder steps, CancellationToken cancellationToken)
    {
        using LlamaModel model = new(config, new RandomQuantizedWeights(config, groupSize, seed: 1));
        LoraInjection.Inject(model, Lora, seed: 2);
        TrainingSample[] samples =
        [
            .. Enumerable.Range(0, Samples).Select(i => RandomIds.Create(13 + (7 * i), config.VocabularySize, (ulong)i)).Select(ids => new TrainingSample(ids, ids)),
        ];
        LearningRateSchedule schedule = new() { TotalSteps = options.Steps!.Value, BaseRate = 1e-2 };
        using Trainer trainer = new(model, backend, new BatchPlan(samples), options, schedule, new AdamWOptions());
        CheckpointStore store = new(folder, new AdapterWeights(model, Lora));
        store.RestoreNewest(trainer);
        while (trainer.StepsDone < trainer.TotalSteps)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                if (trainer.StepsDone > 0)
                {
                    store.Save(trainer);
                }

                return null;
            }

            StepMetrics step = trainer.Step();
            steps.Append(Bits(step.Loss)).Append(Bits(step.GradNorm));
        }

        return string.Concat(LoraInjection.Extract(model, Lora).Tensors.Values.Select(tensor => Fingerprint(MemoryMarshal.AsBytes(tensor.Floats))));
    }
}
