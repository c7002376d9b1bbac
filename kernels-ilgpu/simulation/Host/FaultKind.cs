namespace PureQLora.Kernels.Simulation;

/// <summary>What is wrong with a kernel.</summary>
public enum FaultKind
{
    /// <summary>An index or a view leaves its memory, or the memory has been given back.</summary>
    OutOfBounds,

    /// <summary>Two threads touch the same bytes, at least one writes and not both atomically, and no barrier orders them.</summary>
    Race,

    /// <summary>Bytes are read that nobody has written, or whose asynchronous copy was not waited for.</summary>
    Uninitialised,

    /// <summary>An element's address is no multiple of what its size asks for.</summary>
    Misaligned,

    /// <summary>Threads wait at a barrier that others never come to.</summary>
    DivergentBarrier,

    /// <summary>Lanes wait at a shuffle that others never come to.</summary>
    DivergentShuffle,

    /// <summary>The kernel threw an exception.</summary>
    Exception,
}
