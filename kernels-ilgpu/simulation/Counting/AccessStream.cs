using PureQLora.Kernels.Simulation.Memory;

namespace PureQLora.Kernels.Simulation.Counting;

/// <summary>The accesses of one kind to one block of memory at one place in the source: the n-th of every lane is one instruction of the warp.</summary>
/// <param name="Site">The place.</param>
/// <param name="Region">The block.</param>
/// <param name="IsStore">Whether it is written.</param>
/// <param name="Size">Bytes a lane.</param>
internal readonly record struct AccessStream(int Site, MemoryRegion Region, bool IsStore, int Size);
