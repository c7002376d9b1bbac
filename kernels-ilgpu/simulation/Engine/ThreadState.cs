namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>How far a simulated thread is.</summary>
internal enum ThreadState
{
    /// <summary>Has not begun.</summary>
    NotStarted,

    /// <summary>Runs, or can go on.</summary>
    Ready,

    /// <summary>Waits for others.</summary>
    Waiting,

    /// <summary>Has left the kernel.</summary>
    Ended,
}
