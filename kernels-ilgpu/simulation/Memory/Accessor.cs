namespace PureQLora.Kernels.Simulation.Memory;

/// <summary>Who touches memory, and when.</summary>
/// <param name="FirstSerial">The launch's first group; groups before it have long ended.</param>
/// <param name="Serial">The group, by a number that no other group of the accelerator ever had.</param>
/// <param name="Epoch">Barriers that the group has passed.</param>
/// <param name="WarpEpoch">Barriers that the warp has passed by itself.</param>
/// <param name="Thread">Linear index in the group.</param>
/// <param name="Site">The place in the source.</param>
internal readonly record struct Accessor(int FirstSerial, int Serial, int Epoch, int WarpEpoch, int Thread, int Site)
{
    public int Warp => Thread >> 5;

    public uint WarpBit => 1u << (Thread >> 5);

    public uint LaneBit => 1u << (Thread & 31);
}
