namespace PureQLora.Kernels.Simulation;

/// <summary>The accesses at one line of the source.</summary>
/// <param name="File">Name of the file.</param>
/// <param name="Line">Line.</param>
/// <param name="Space">Global or shared memory.</param>
/// <param name="IsStore">Whether it is written.</param>
/// <param name="Counters">The counts.</param>
public sealed record SiteCounters(string File, int Line, MemorySpace Space, bool IsStore, AccessCounters Counters);
