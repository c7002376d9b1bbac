using System.Diagnostics;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Runs optimiser steps: forward and backward over the micro-batches of an accumulated batch, norm, clipping, AdamW. It knows
/// nothing of files; a training run adds checkpoints and reports.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly LlamaModel _model;
    private readonly BatchPlan _plan;
    private readonly TrainingOptions _options;
    private readonly LearningRateSchedule _schedule;
    private readonly Arena _arena;
    private readonly ComputeScope _scope;
    private readonly RandomState _random;
    private readonly MicroBatch[] _batches;
    private SampleOrder _order;
    private bool _movementChecked;

    /// <summary>Prepares a run; what requires gradients in the model is what is trained.</summary>
    /// <param name="model">With adapters injected, or made trainable as a whole.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="plan">The data.</param>
    /// <param name="options">How long and how much at a time.</param>
    /// <param name="schedule">Learning rates.</param>
    /// <param name="optimizer">Betas, epsilon, decay.</param>
    /// <exception cref="UserErrorException">Nothing is trainable, or a setting is out of range.</exception>
    public Trainer(LlamaModel model, IBackend backend, BatchPlan plan, TrainingOptions options, LearningRateSchedule schedule, AdamWOptions optimizer)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(schedule);
        options.Validate();
        schedule.Validate();
        (_model, _plan, _options, _schedule) = (model, plan, options, schedule);
        IReadOnlyList<NamedParameter> parameters = model.TrainableParameters;
        if (parameters.Count == 0)
        {
            throw new UserErrorException("Nothing in the model is trainable; add a LoRA adapter, or make its weights trainable.");
        }

        Optimizer = new AdamW(parameters, optimizer);
        Precision = options.Precision ?? backend.PreferredPrecision;
        _arena = new Arena(backend);
        _random = new RandomState(options.Seed);
        _scope = new ComputeScope(_arena, recordGradients: true) { Precision = Precision, Random = _random };
        _batches = [.. Enumerable.Range(0, options.Accumulation).Select(_ => new MicroBatch())];
        _order = new SampleOrder(plan.Rows, options.Seed, options.Shuffle);
    }

    /// <summary>Rounding of the operands of matrix products.</summary>
    public Precision Precision { get; }

    /// <summary>Moments and settings.</summary>
    public AdamW Optimizer { get; }

    /// <summary>Steps done.</summary>
    public int StepsDone => Optimizer.Steps;

    /// <summary>Steps of the whole run.</summary>
    public int TotalSteps => _schedule.TotalSteps;

    /// <summary>What to store beside weights and moments to go on bit for bit.</summary>
    public TrainerState State => new(StepsDone, _order.Position, _random.Seed, _random.Counter);

    /// <summary>Largest memory of one pass so far, weights left out.</summary>
    public long PeakActivationBytes => _arena.PeakBytes;

    /// <summary>Memory held for passes.</summary>
    public long ReservedActivationBytes => _arena.ReservedBytes;

    /// <summary>Takes the memory of the passes at once, where it is known how much they need.</summary>
    /// <param name="bytes">The <see cref="PeakActivationBytes"/> of the largest pass.</param>
    public void Reserve(long bytes) => _arena.Reserve(bytes);

    /// <summary>Goes on from a stored state; weights and moments must have been put back as well.</summary>
    public void Restore(TrainerState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        Optimizer.Steps = state.Step;
        _order = new SampleOrder(_plan.Rows, _options.Seed, _options.Shuffle, state.Data);
        (_random.Seed, _random.Counter) = (state.RandomSeed, state.RandomCounter);

        // Late in a run an update may rightly be lost in rounding; the check belongs to the first one that has a rate.
        _movementChecked = Enumerable.Range(0, state.Step).Any(step => _schedule.Rate(step) > 0);
    }

    /// <summary>One optimiser step.</summary>
    /// <exception cref="TrainingFailedException">Loss or gradient not finite; the weights are those of before the step.</exception>
    public StepMetrics Step()
    {
        long started = Stopwatch.GetTimestamp();
        (long supervised, long tokens) = NextBatches();
        double loss = 0;
        foreach (MicroBatch batch in _batches)
        {
            loss += ForwardAndBackward(batch, supervised);
        }

        double norm = Optimizer.GradientNorm(_scope.Backend);
        if (!double.IsFinite(loss) || !double.IsFinite(norm))
        {
            throw new TrainingFailedException(NonFinite.Describe(_model, _scope, _batches, StepsDone + 1, loss));
        }

        double rate = _schedule.Rate(StepsDone);
        float clip = _options.MaxGradNorm > 0 ? (float)Math.Min(1, _options.MaxGradNorm / (norm + 1e-6)) : 1f;
        MovementCheck? check = !_movementChecked && rate > 0 ? new MovementCheck(_model) : null;
        Optimizer.Step(_scope.Backend, rate, clip);
        check?.Complete(StepsDone);
        _movementChecked |= check is not null;
        return new StepMetrics(StepsDone, loss, norm, rate, supervised, tokens, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    /// <summary>Releases the memory of the passes and the optimiser's state.</summary>
    public void Dispose()
    {
        _scope.Dispose();
        _arena.Dispose();
        Optimizer.Dispose();
    }

    private (long Supervised, long Tokens) NextBatches()
    {
        (long supervised, long tokens) = (0, 0);
        foreach (MicroBatch batch in _batches)
        {
            batch.Clear();
            for (int i = 0; i < _options.BatchSize; i++)
            {
                _plan.Fill(batch, _order.Next());
            }

            supervised += batch.SupervisedTokens;
            tokens += batch.Tokens;
        }

        return (supervised, tokens);
    }

    /// <summary>Adds a micro-batch's share to the gradients and returns its share of the loss.</summary>
    private double ForwardAndBackward(MicroBatch batch, long supervised)
    {
        if (batch.SupervisedTokens == 0)
        {
            return 0;
        }

        _scope.Reset();
        ModelInput input = batch.Input(_scope) with { Checkpoint = _options.Checkpointing, ActivationType = _options.Activations };
        Tensor loss = _model.Loss(_scope, input, batch.Targets(_scope), supervised);
        _scope.Backward(loss);
        Span<float> value = stackalloc float[1];
        loss.CopyTo(value);
        return value[0];
    }
}
