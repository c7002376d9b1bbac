namespace PureQLora.Training;

/// <summary>The base model.</summary>
public sealed record ModelRecipe
{
    /// <summary>Folder with <c>config.json</c>, weights and tokenizer; <c>embedded</c> is the model that comes with the program.</summary>
    public string Path { get; init; } = "embedded";

    /// <summary>PEFT folder to start training from, or null for new adapters.</summary>
    public string? Adapter { get; init; }
}
