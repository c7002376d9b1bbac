using ILGPU;

namespace PureQLora.Kernels.Simulation;

/// <summary>Something wrong with a kernel, as it was first seen at this place.</summary>
public sealed record KernelFault
{
    /// <summary>What it is.</summary>
    public required FaultKind Kind { get; init; }

    /// <summary>The kernel.</summary>
    public required string Kernel { get; init; }

    /// <summary>The group, by its place in the grid.</summary>
    public required Index3D Group { get; init; }

    /// <summary>The thread, by its place in the group.</summary>
    public required Index3D Thread { get; init; }

    /// <summary>File and line; empty for an exception.</summary>
    public required string Location { get; init; }

    /// <summary>The memory, in words; null where it is not about memory.</summary>
    public string? Memory { get; init; }

    /// <summary>The first byte in that memory, where it is known.</summary>
    public long? ByteOffset { get; init; }

    /// <summary>All of it in a sentence.</summary>
    public required string Message { get; init; }

    /// <summary>How often it happened at this place.</summary>
    public int Occurrences { get; init; } = 1;

    /// <inheritdoc/>
    public override string ToString() => Occurrences == 1 ? Message : $"{Message} ({Occurrences} times)";
}
