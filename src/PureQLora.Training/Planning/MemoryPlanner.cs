using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Finds out what work would take of a device's memory by doing it on a rehearsal of the device (<see cref="IDeviceBackend.Rehearse"/>): the
/// very code that will run counts its own memory, only that nothing is computed. Milliseconds, whatever the model.
/// </summary>
/// <param name="device">Nothing of the model need be on it.</param>
public sealed class MemoryPlanner(IDeviceBackend device)
{
    /// <summary>Bytes that no plan sees: the kernels' code, and what the driver keeps for itself.</summary>
    public const long DriverShare = 64L << 20;

    /// <summary>Bytes that a plan may take.</summary>
    public long Available => Math.Max(0, device.MemoryFree - DriverShare);

    /// <summary>Whether there is room.</summary>
    public bool Fits(MemoryPlan plan) => (plan ?? throw new ArgumentNullException(nameof(plan))).Total <= Available;

    /// <summary>A step of training.</summary>
    /// <param name="shape">With the adapters that are trained, or all weights.</param>
    /// <param name="options">Checkpointing, type of activations, precision.</param>
    /// <param name="passTokens">Tokens of the largest forward pass.</param>
    public MemoryPlan Training(BaseShape shape, TrainingOptions options, int passTokens)
    {
        ArgumentNullException.ThrowIfNull(options);
        using Stage stage = new(device, (shape ?? throw new ArgumentNullException(nameof(shape))) with { Trains = true });
        int[] ids = new int[passTokens];
        TrainingOptions one = options with { Steps = 1, BatchSize = 1, Accumulation = 1 };

        // The first step of a warm-up has the rate 0: nothing has to move.
        LearningRateSchedule schedule = new() { Kind = ScheduleKind.ConstantWithWarmup, WarmupSteps = 1, TotalSteps = 1 };
        using Trainer trainer = new(stage.Model, stage.Backend, new BatchPlan([new TrainingSample(ids, ids)]), one, schedule, new AdamWOptions());
        long before = stage.Backend.MemoryUsed;
        _ = trainer.Step();
        long workspace = stage.Backend.MemoryUsed - before - trainer.ReservedActivationBytes + stage.Empty;

        // A trainer that knows what it needs takes it as one block.
        long after = stage.Backend.MemoryUsed;
        using Storage passes = stage.Backend.Allocate(trainer.PeakActivationBytes);
        return new MemoryPlan
        {
            Work = "training",
            Weights = stage.Weights,
            Gradients = stage.Gradients,
            Adapters = stage.Adapters,
            Optimizer = before - stage.Filled,
            Activations = stage.Backend.MemoryUsed - after,
            Workspace = workspace,
        };
    }

    /// <summary>Continuing prompts together.</summary>
    /// <param name="shape">With or without adapters.</param>
    /// <param name="precision">Rounding of the operands of matrix products.</param>
    /// <param name="sequences">How many together.</param>
    /// <param name="length">Tokens of the longest, prompt and answer.</param>
    public MemoryPlan Generation(BaseShape shape, Precision precision, int sequences, int length)
    {
        using Stage stage = new(device, shape);
        (long cache, long activations) = GenerationRehearsal.Run(stage.Model, stage.Backend, precision, sequences, length);
        return new MemoryPlan
        {
            Work = "generation",
            Weights = stage.Weights,
            Adapters = stage.Adapters,
            Cache = cache,
            Activations = activations,
            Workspace = stage.Backend.MemoryUsed - stage.Filled + stage.Empty,
        };
    }

    /// <summary>Scoring tokens that are there.</summary>
    /// <param name="shape">With or without adapters.</param>
    /// <param name="precision">Rounding of the operands of matrix products.</param>
    /// <param name="tokens">Tokens of the largest pass.</param>
    public MemoryPlan Scoring(BaseShape shape, Precision precision, int tokens) => Pass("scoring", shape, precision, recordGradients: false, (model, scope) =>
    {
        int[] ids = new int[tokens];
        Tensor hidden = model.Forward(scope, ModelInput.Rows(scope, ids, tokens) with { Segments = scope.From(ids, new Shape(1, tokens)) });
        Tensor targets = scope.From(ids, new Shape(tokens));
        _ = CrossEntropy.TokenLosses(scope, scope.View(hidden, new Shape(tokens, model.Config.HiddenSize)), model.Head, targets);
    });

    /// <summary>A single pass, forward or backward as well.</summary>
    /// <param name="work">What it is for, such as <c>logits</c>.</param>
    /// <param name="shape">With or without adapters.</param>
    /// <param name="precision">Rounding of the operands of matrix products.</param>
    /// <param name="recordGradients">Whether the pass goes backward.</param>
    /// <param name="pass">Does it with a model and a scope of the rehearsal: the function that will do it on the device.</param>
    public MemoryPlan Pass(string work, BaseShape shape, Precision precision, bool recordGradients, Action<LlamaModel, ComputeScope> pass)
    {
        ArgumentNullException.ThrowIfNull(pass);
        using Stage stage = new(device, shape);
        using ComputeScope scope = new(stage.Backend, recordGradients) { Precision = precision };
        pass(stage.Model, scope);
        return new MemoryPlan
        {
            Work = work,
            Weights = stage.Weights,
            Adapters = stage.Adapters,
            Activations = scope.Arena.ReservedBytes,
            Workspace = stage.Backend.MemoryUsed - stage.Filled - scope.Arena.ReservedBytes + stage.Empty,
        };
    }

    /// <summary>A model on a rehearsal.</summary>
    private sealed class Stage : IDisposable
    {
        private readonly PlannedWeights _weights;

        public Stage(IDeviceBackend device, BaseShape shape)
        {
            ArgumentNullException.ThrowIfNull(shape);
            Backend = device.Rehearse();
            Empty = Backend.MemoryUsed;
            _weights = new PlannedWeights(shape, Backend);
            Model = new LlamaModel(shape.Config, _weights);
            Model.MoveTo(Backend);
            Gradients = Model.TrainableParameters.Sum(parameter => parameter.Value.Grad!.ByteLength);
            Weights = Backend.MemoryUsed - Empty - Gradients;
            _weights.Adapt(Model);
            Filled = Backend.MemoryUsed;
        }

        public IDeviceBackend Backend { get; }

        public LlamaModel Model { get; }

        /// <summary>Bytes before anything was there.</summary>
        public long Empty { get; }

        /// <summary>Bytes of the weights.</summary>
        public long Weights { get; }

        /// <summary>Bytes of the weights' gradients.</summary>
        public long Gradients { get; }

        /// <summary>Bytes of adapters and gradients.</summary>
        public long Adapters => Filled - Empty - Weights - Gradients;

        /// <summary>Bytes with all of the model.</summary>
        public long Filled { get; }

        public void Dispose()
        {
            Model.Dispose();
            _weights.Dispose();
            Backend.Dispose();
        }
    }
}
