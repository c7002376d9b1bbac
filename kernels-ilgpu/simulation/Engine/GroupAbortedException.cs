using System.Diagnostics.CodeAnalysis;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>Unwinds the threads of a group that cannot go on; its fault has been reported.</summary>
[SuppressMessage("Design", "CA1064", Justification = "Never leaves the engine.")]
[SuppressMessage("Design", "CA1032", Justification = "As above.")]
internal sealed class GroupAbortedException : Exception;
