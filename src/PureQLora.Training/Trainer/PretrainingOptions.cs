namespace PureQLora.Training;

/// <summary>How the embedded model is made from random weights; the defaults are how it was made.</summary>
public sealed record PretrainingOptions
{
    /// <summary>Tokens of the vocabulary.</summary>
    public int VocabularySize { get; init; } = 768;

    /// <summary>Width of the residual stream.</summary>
    public int HiddenSize { get; init; } = 192;

    /// <summary>Blocks.</summary>
    public int Layers { get; init; } = 6;

    /// <summary>Attention heads.</summary>
    public int Heads { get; init; } = 6;

    /// <summary>Heads of keys and values.</summary>
    public int KeyValueHeads { get; init; } = 6;

    /// <summary>Width of the feed-forward network.</summary>
    public int IntermediateSize { get; init; } = 512;

    /// <summary>Distinct problems trained on, more than the steps take.</summary>
    public int Problems { get; init; } = 72_000;

    /// <summary>Problems of one step.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Optimiser steps.</summary>
    public int Steps { get; init; } = 1100;

    /// <summary>Steps of the warm-up.</summary>
    public int WarmupSteps { get; init; } = 100;

    /// <summary>Highest learning rate.</summary>
    public double LearningRate { get; init; } = 2e-3;

    /// <summary>Lowest learning rate as a share of the highest.</summary>
    public double MinRateRatio { get; init; } = 0.02;

    /// <summary>Chooses weights, problems and their order.</summary>
    public ulong Seed { get; init; } = 20_261_124;
}
