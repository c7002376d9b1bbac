namespace PureQLora.Training;

/// <summary>The base model.</summary>
public sealed record ModelRecipe
{
    /// <summary>The path that stands for the model that comes with the program.</summary>
    public const string Embedded = "embedded";

    /// <summary>Folder with <c>config.json</c>, weights and tokenizer; <c>embedded</c> is the model that comes with the program.</summary>
    public string Path { get; init; } = Embedded;

    /// <summary>PEFT folder to start training from, or null for new adapters.</summary>
    public string? Adapter { get; init; }

    /// <summary>Whether the model that comes with the program is meant.</summary>
    internal bool IsEmbedded => Path == Embedded;
}
