namespace PureQLora.Kernels;

/// <summary>Extent of a launch: groups along two axes, and threads in each group.</summary>
/// <param name="GroupsX">Groups along x, at least 1.</param>
/// <param name="GroupsY">Groups along y, at least 1; hardware allows 65,535.</param>
public readonly record struct LaunchShape(int GroupsX, int GroupsY = 1)
{
    /// <summary>As many groups as it takes to give every item a thread.</summary>
    /// <param name="items">Not negative; an empty launch has one group, whose threads find nothing to do.</param>
    /// <param name="groupSize">Threads of a group.</param>
    public static LaunchShape For(long items, int groupSize) => new(checked((int)Math.Max(1, (items + groupSize - 1) / groupSize)));
}
