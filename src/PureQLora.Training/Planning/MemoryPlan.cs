using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>What some work takes of a device's memory, in bytes, by what it is for.</summary>
public sealed record MemoryPlan
{
    /// <summary>What is planned, such as <c>training</c>.</summary>
    public required string Work { get; init; }

    /// <summary>Weights, as the device packs them.</summary>
    public required long Weights { get; init; }

    /// <summary>Gradients of the weights, where they are trained themselves.</summary>
    public long Gradients { get; init; }

    /// <summary>Adapters and their gradients.</summary>
    public required long Adapters { get; init; }

    /// <summary>Moments of the optimiser.</summary>
    public long Optimizer { get; init; }

    /// <summary>Keys and values of the tokens before.</summary>
    public long Cache { get; init; }

    /// <summary>Everything that lives no longer than a pass, at most.</summary>
    public required long Activations { get; init; }

    /// <summary>What kernels use besides, and tables.</summary>
    public required long Workspace { get; init; }

    /// <summary>All of it.</summary>
    public long Total => Weights + Gradients + Adapters + Optimizer + Cache + Activations + Workspace;

    /// <summary>The parts that there are, in words.</summary>
    public string Parts => string.Join(", ", new (string Name, long Bytes)[]
    {
        ("weights", Weights), ("gradients", Gradients), ("adapters", Adapters), ("optimiser", Optimizer), ("keys and values", Cache), ("activations", Activations), ("workspace", Workspace),
    }.Where(part => part.Bytes > 0).Select(part => $"{part.Name} {ByteSize.Text(part.Bytes)}"));

    /// <inheritdoc/>
    public override string ToString() => $"{Work} {ByteSize.Text(Total)}: {Parts}";
}
