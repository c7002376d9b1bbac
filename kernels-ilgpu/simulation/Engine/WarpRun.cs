using PureQLora.Kernels.Simulation.Counting;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>A warp of a running group.</summary>
internal sealed class WarpRun(int index, int lanes)
{
    /// <summary>Lanes of a full warp.</summary>
    public const int Size = 32;

    /// <summary>Place in the group.</summary>
    public int Index { get; } = index;

    /// <summary>Lanes that exist: fewer in the last warp of a group whose size is no multiple of 32.</summary>
    public int Lanes { get; } = lanes;

    /// <summary>Where the lanes meet.</summary>
    public Meeting Meeting { get; } = new(lanes);

    /// <summary>Barriers that the warp has passed by itself.</summary>
    public int Epoch { get; set; }

    /// <summary>What the lanes have accessed since they last met.</summary>
    public WarpLog Log { get; } = new();
}
