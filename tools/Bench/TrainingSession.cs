using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Bench;

/// <summary>LoRA steps on random ids through the real trainer: one sequence a step, checkpointing, AdamW, every token supervised.</summary>
internal sealed class TrainingSession : IDisposable
{
    private const int Sequences = 8;

    private readonly Trainer _trainer;

    /// <param name="model">Without adapters; gets them here.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="options">Sequence, rank, targets, precision.</param>
    public TrainingSession(LlamaModel model, IBackend backend, TrainingBenchOptions options)
    {
        LoraInjection.Remove(model);
        LoraInjection.Inject(model, new LoraConfig { Rank = options.Rank, Alpha = 2 * options.Rank, TargetModules = options.Targets }, seed: 1);
        model.MoveTo(backend);
        TrainingSample[] samples =
        [
            .. Enumerable.Range(0, Sequences).Select(i => RandomIds.Create(options.Seq, model.Config.VocabularySize, (ulong)i)).Select(ids => new TrainingSample(ids, ids)),
        ];
        TrainingOptions training = new() { BatchSize = 1, Checkpointing = true, Precision = options.Precision, Steps = int.MaxValue >> 8 };
        LearningRateSchedule schedule = new() { TotalSteps = int.MaxValue >> 8, Kind = ScheduleKind.ConstantWithWarmup, WarmupSteps = 1, BaseRate = 1e-4 };
        _trainer = new Trainer(model, backend, new BatchPlan(samples), training, schedule, new AdamWOptions());
        Arithmetic = TrainingArithmetic.Of(model, options.Seq);
    }

    /// <summary>What a step needs.</summary>
    public TrainingArithmetic Arithmetic { get; }

    /// <summary>Managed bytes that the last step allocated.</summary>
    public long ManagedBytes { get; private set; }

    /// <summary>The loss of the last step, which proves that it computed.</summary>
    public double Loss { get; private set; }

    /// <summary>One step; gives its seconds.</summary>
    public double Step()
    {
        long before = GC.GetTotalAllocatedBytes(precise: true);
        StepMetrics metrics = _trainer.Step();
        ManagedBytes = GC.GetTotalAllocatedBytes(precise: true) - before;
        Loss = metrics.Loss;
        return metrics.Seconds;
    }

    /// <summary>Releases the memory of the passes.</summary>
    public void Dispose() => _trainer.Dispose();
}
