using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>How long, how much at a time, and how to keep it safe.</summary>
public sealed record TrainingOptions
{
    /// <summary>Passes over the data; ignored where <see cref="Steps"/> is set.</summary>
    public double Epochs { get; init; } = 1;

    /// <summary>Optimiser steps, or null for <see cref="Epochs"/>.</summary>
    public int? Steps { get; init; }

    /// <summary>Samples (or packed rows) of one forward pass.</summary>
    public int BatchSize { get; init; } = 4;

    /// <summary>Forward passes whose gradients make one step.</summary>
    public int Accumulation { get; init; } = 1;

    /// <summary>Clips the gradient's norm to this; 0 does not clip.</summary>
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Recompute each block in backward instead of keeping its intermediate tensors.</summary>
    public bool Checkpointing { get; init; } = true;

    /// <summary>Type of the activations kept between checkpointed blocks: Float32, or BFloat16 for half the memory.</summary>
    public DataType Activations { get; init; } = DataType.Float32;

    /// <summary>Rounding of the operands of matrix products; null takes what the device prefers. Int8 is for decoding alone.</summary>
    public Precision? Precision { get; init; }

    /// <summary>Chooses initial adapters, sample order and dropout.</summary>
    public ulong Seed { get; init; } = 42;

    /// <summary>Shuffle each pass; off takes samples in the order of the file.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Steps between checkpoints; 0 saves only at the end.</summary>
    public int SaveEvery { get; init; } = 100;

    /// <summary>Checkpoints that are kept, the newest first; 0 keeps all.</summary>
    public int KeepCheckpoints { get; init; }

    /// <summary>Steps of a run over this many samples or packed rows.</summary>
    public int TotalSteps(int rows) =>
        Steps ?? checked((int)Math.Max(1, Math.Ceiling(Epochs * rows / ((double)BatchSize * Accumulation))));

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public void Validate()
    {
        Require(Epochs is > 0 and <= 10_000, "epochs", Epochs, "above 0 to 10000");
        Require(Steps is null or (>= 1 and <= 100_000_000), "steps", Steps ?? 0, "1 to 100000000; leave it out to train by epochs");
        Require(BatchSize is >= 1 and <= 65_536, "batchSize", BatchSize, "1 to 65536");
        Require(Accumulation is >= 1 and <= 65_536, "accumulation", Accumulation, "1 to 65536");
        Require(MaxGradNorm is >= 0 and < 1e9, "maxGradNorm", MaxGradNorm, "0 (no clipping) or more; 1 is usual");
        Require(SaveEvery >= 0, "saveEvery", SaveEvery, "0 (only at the end) or more");
        Require(KeepCheckpoints >= 0, "keepCheckpoints", KeepCheckpoints, "0 (all) or more");
        if (Precision is Core.Precision.Int8)
        {
            throw new UserErrorException("training.precision is int8, allowed auto, float32 and bfloat16: gradients do not survive 8-bit activations; int8 is for tools/Generate and tools/Evaluate.");
        }

        if (Activations is not (DataType.Float32 or DataType.BFloat16))
        {
            throw new UserErrorException($"training.activations is {Activations}, allowed Float32 and BFloat16.");
        }
    }

    private static void Require(bool fulfilled, string name, double value, string allowed)
    {
        if (!fulfilled)
        {
            throw new UserErrorException(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"training.{name} is {value}, allowed {allowed}."));
        }
    }
}
