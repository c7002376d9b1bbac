using System.Diagnostics;

namespace PureQLora.Kernels.Simulation;

/// <summary>How kernels are run.</summary>
public sealed record SimulationOptions
{
    /// <summary>
    /// Null: groups and threads run in ascending order. Else a seed that mixes the groups, the warps of a group and the lanes of a warp, so
    /// that a kernel whose result depends on their order gives another one.
    /// </summary>
    public int? Seed { get; init; }

    /// <summary>Faults of a launch to describe, at least 1.</summary>
    public int MaxFaults { get; init; } = 20;

    /// <summary>Bytes of shared memory that a group may have, static and dynamic; as on compute capability 9.0.</summary>
    public int SharedMemoryPerGroup { get; init; } = 227 * 1024;

    /// <summary>
    /// Runs kernels as they are, and gives every simulated thread that waits for others a thread of the system: a debugger can then stop in
    /// them. Else kernels that wait are compiled to coroutines, which is far faster.
    /// </summary>
    public bool UseSystemThreads { get; init; } = Debugger.IsAttached;
}
