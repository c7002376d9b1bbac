namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>What threads wait for each other at.</summary>
internal enum MeetingKind
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Group.Barrier</summary>
    Barrier,

    /// <summary>Group.BarrierPopCount</summary>
    BarrierPopCount,

    /// <summary>Group.BarrierAnd</summary>
    BarrierAnd,

    /// <summary>Group.BarrierOr</summary>
    BarrierOr,

    /// <summary>Group.Broadcast</summary>
    GroupBroadcast,

    /// <summary>Warp.Barrier, the first kind of a warp's meetings.</summary>
    WarpBarrier,

    /// <summary>Warp.Shuffle</summary>
    Shuffle,

    /// <summary>Warp.ShuffleUp</summary>
    ShuffleUp,

    /// <summary>Warp.ShuffleDown</summary>
    ShuffleDown,

    /// <summary>Warp.ShuffleXor</summary>
    ShuffleXor,

    /// <summary>Warp.Broadcast</summary>
    Broadcast,

    /// <summary>WarpExchange.All</summary>
    Exchange,
}
