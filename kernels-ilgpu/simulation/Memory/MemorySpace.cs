namespace PureQLora.Kernels.Simulation;

/// <summary>Where memory is.</summary>
public enum MemorySpace
{
    /// <summary>Of the device: all groups reach it.</summary>
    Global,

    /// <summary>Of one group.</summary>
    Shared,

    /// <summary>Of one thread.</summary>
    Local,
}
