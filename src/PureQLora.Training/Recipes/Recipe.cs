using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Everything a run depends on. Paths are relative to the recipe's folder when read from a file.</summary>
public sealed record Recipe
{
    /// <summary>Name of the run, and of its folder under <c>runs</c>.</summary>
    public string Name { get; init; } = "run";

    /// <summary>The base model.</summary>
    public ModelRecipe Model { get; init; } = new();

    /// <summary>How the base is quantised before training.</summary>
    public QuantizationRecipe Quantization { get; init; } = new();

    /// <summary>The adapters.</summary>
    public LoraRecipe Lora { get; init; } = new();

    /// <summary>What is trained on.</summary>
    public DataRecipe Data { get; init; } = new();

    /// <summary>How long, how much at a time.</summary>
    public TrainingOptions Training { get; init; } = new();

    /// <summary>AdamW, learning rate and schedule.</summary>
    public OptimizerRecipe Optimizer { get; init; } = new();

    /// <summary>What is measured before and after.</summary>
    public EvaluationRecipe Evaluation { get; init; } = new();

    /// <summary>The recipe with what it leaves to the device decided.</summary>
    public Recipe For(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        return this with { Training = Training with { Precision = Training.Precision ?? backend.PreferredPrecision } };
    }

    /// <summary>Refuses values outside their range, before anything is computed.</summary>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public void Validate()
    {
        if (Name.Length is 0 or > 100 || Name is "." or ".." || Name.AsSpan().ContainsAny('/', '\\', '\0'))
        {
            throw new UserErrorException($"The recipe's name is \"{Name}\"; it names a folder, so give it 1 to 100 characters without slashes.");
        }

        Data.Validate();
        Training.Validate();
        Optimizer.ToOptions().Validate();
        _ = Optimizer.ToSchedule(Training.Steps ?? int.MaxValue);
        _ = Lora.ToConfig();
        _ = Evaluation.ToOptions(Training.Precision ?? Precision.Float32);
        if (Quantization.Enabled)
        {
            Quantization.Validate();
        }

        ValidateStart();
        ValidateGroups();
    }

    /// <summary>How adapters are started on the base that this recipe quantises.</summary>
    internal AdapterStartOptions StartOptions() => new()
    {
        Start = Lora.Init,
        LoftqIterations = Lora.LoftqIterations,
        Method = Quantization.Method,
        Quantization = Quantization.ToOptions() with { CalibrationPrecision = Training.Precision ?? Precision.Float32 },
        Seed = Training.Seed,
    };

    private void ValidateGroups()
    {
        if (!Lora.UseQalora)
        {
            return;
        }

        if (Lora.Init != AdapterStart.Zero)
        {
            throw new UserErrorException($"lora.init is {Lora.Init.Name()}, but adapters of lora.useQalora add one value to a whole group and cannot make up for what quantising lost; use zero, or plain LoRA.");
        }

        string? fault = !Quantization.Enabled || Model.Adapter is not null ? null
            : Quantization.Method == QuantizationMethod.Nf4 ? "quantization.method is nf4, which has no zero points; use gptq"
            : Quantization.GroupSize < 1 ? $"quantization.groupSize is {Quantization.GroupSize}, one group a row; use 32, 64 or 128"
            : Quantization.ActOrder && !Quantization.StaticGroups ? "quantization.actOrder scatters the groups; set quantization.staticGroups to true as well"
            : null;
        if (fault is not null)
        {
            throw new UserErrorException($"lora.useQalora moves the zero points of groups of neighbouring columns, but {fault}.");
        }
    }

    private void ValidateStart()
    {
        if (Lora.Init == AdapterStart.Zero)
        {
            return;
        }

        if (!Quantization.Enabled || Model.Adapter is not null)
        {
            throw new UserErrorException(
                $"lora.init is {Lora.Init.Name()}, but {(Model.Adapter is null ? "quantization.enabled is false" : "model.adapter names an adapter to start from")}; use zero, or let this run quantise the base.");
        }

        if (Quantization.Method == QuantizationMethod.Nf4)
        {
            throw new UserErrorException($"lora.init is {Lora.Init.Name()}, which starts adapters on integer codes, but quantization.method is nf4; use zero, or take gptq.");
        }

        if (Quantization.DistillSteps > 0 && StartOptions().Requantizes)
        {
            throw new UserErrorException($"lora.loftqIterations is {Lora.LoftqIterations}, which quantises again and would undo quantization.distillSteps; use 1, or distil no scales.");
        }
    }
}
