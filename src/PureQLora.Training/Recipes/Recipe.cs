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
}
