using System.Diagnostics.CodeAnalysis;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>A kernel does what the compiler of coroutines cannot follow; it then runs on threads of the system.</summary>
[SuppressMessage("Design", "CA1064", Justification = "Never leaves the engine.")]
[SuppressMessage("Design", "CA1032", Justification = "As above.")]
internal sealed class UnfollowableException(string reason) : Exception(reason);
