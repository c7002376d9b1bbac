namespace ILGPU;

/// <summary>How many groups of how many threads a launch has, and how much dynamic shared memory a group.</summary>
public readonly record struct KernelConfig
{
    /// <summary>A launch with the given extents.</summary>
    /// <param name="gridDim">Groups.</param>
    /// <param name="groupDim">Threads of a group.</param>
    /// <param name="sharedMemoryConfig">Dynamic shared memory.</param>
    public KernelConfig(Index3D gridDim, Index3D groupDim, SharedMemoryConfig sharedMemoryConfig)
    {
        GridDim = gridDim;
        GroupDim = groupDim;
        SharedMemoryConfig = sharedMemoryConfig;
    }

    /// <inheritdoc cref="KernelConfig(Index3D, Index3D, SharedMemoryConfig)"/>
    public KernelConfig(Index3D gridDim, Index3D groupDim)
        : this(gridDim, groupDim, default)
    {
    }

    /// <inheritdoc cref="KernelConfig(Index3D, Index3D, SharedMemoryConfig)"/>
    public KernelConfig(Index2D gridDim, Index2D groupDim)
        : this(gridDim, groupDim, default)
    {
    }

    /// <inheritdoc cref="KernelConfig(Index3D, Index3D, SharedMemoryConfig)"/>
    public KernelConfig(Index2D gridDim, Index2D groupDim, SharedMemoryConfig sharedMemoryConfig)
        : this(new Index3D(gridDim.X, gridDim.Y, 1), new Index3D(groupDim.X, groupDim.Y, 1), sharedMemoryConfig)
    {
    }

    /// <inheritdoc cref="KernelConfig(Index3D, Index3D, SharedMemoryConfig)"/>
    public KernelConfig(Index1D gridDim, Index1D groupDim)
        : this(gridDim, groupDim, default)
    {
    }

    /// <inheritdoc cref="KernelConfig(Index3D, Index3D, SharedMemoryConfig)"/>
    public KernelConfig(Index1D gridDim, Index1D groupDim, SharedMemoryConfig sharedMemoryConfig)
        : this(new Index3D(gridDim, 1, 1), new Index3D(groupDim, 1, 1), sharedMemoryConfig)
    {
    }

    /// <summary>Groups.</summary>
    public Index3D GridDim { get; }

    /// <summary>Threads of a group.</summary>
    public Index3D GroupDim { get; }

    /// <summary>Dynamic shared memory of a group.</summary>
    public SharedMemoryConfig SharedMemoryConfig { get; }

    /// <summary>Groups and threads along x.</summary>
    public static implicit operator KernelConfig((Index1D Grid, Index1D Group) dimensions) => new(dimensions.Grid, dimensions.Group);

    /// <summary>Groups and threads along x, and dynamic shared memory.</summary>
    public static implicit operator KernelConfig((Index1D Grid, Index1D Group, SharedMemoryConfig Shared) dimensions) =>
        new(dimensions.Grid, dimensions.Group, dimensions.Shared);

    /// <summary>Groups and threads along all axes.</summary>
    public static implicit operator KernelConfig((Index3D Grid, Index3D Group) dimensions) => new(dimensions.Grid, dimensions.Group);
}
