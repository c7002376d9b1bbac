namespace PureQLora.Kernels.Simulation.Memory;

/// <summary>What is done to memory.</summary>
internal enum AccessKind
{
    /// <summary>Read.</summary>
    Read,

    /// <summary>Written.</summary>
    Write,

    /// <summary>Read and written by an atomic operation.</summary>
    Atomic,

    /// <summary>Given to an asynchronous copy, which will write it sooner or later.</summary>
    PendingCopy,
}
