namespace PureQLora.Kernels.Simulation.Memory;

/// <summary>The other access of a race; the default value is none.</summary>
/// <param name="Serial">Its group.</param>
/// <param name="Thread">Its thread, or the first thread of its warp.</param>
/// <param name="Site">Its place in the source, or one where the same was done.</param>
/// <param name="KnowsLane">Whether <paramref name="Thread"/> is the thread itself.</param>
internal readonly record struct Conflict(int Serial, int Thread, int Site, bool KnowsLane = true)
{
    public bool IsFound => Serial != 0;
}
