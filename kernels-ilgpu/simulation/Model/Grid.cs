using PureQLora.Kernels.Simulation.Engine;

namespace ILGPU;

/// <summary>The grid of groups that the running thread belongs to.</summary>
public static class Grid
{
    /// <summary>The group's place along x.</summary>
    public static int IdxX => Index.X;

    /// <summary>The group's place along y.</summary>
    public static int IdxY => Index.Y;

    /// <summary>The group's place along z.</summary>
    public static int IdxZ => Index.Z;

    /// <summary>The group's place.</summary>
    public static Index3D Index => SimulatedThread.Current.Group.Index;

    /// <summary>Groups along x.</summary>
    public static int DimX => Dimension.X;

    /// <summary>Groups along y.</summary>
    public static int DimY => Dimension.Y;

    /// <summary>Groups along z.</summary>
    public static int DimZ => Dimension.Z;

    /// <summary>Groups along all axes.</summary>
    public static Index3D Dimension => SimulatedThread.Current.Group.Launch.Config.GridDim;

    /// <summary>The group's place, counted along x first.</summary>
    public static int LinearIndex => Index.X + (Dimension.X * (Index.Y + (Dimension.Y * Index.Z)));

    /// <summary>The thread's place among all threads, along each axis.</summary>
    public static Index3D GlobalIndex => new(
        (Index.X * Group.DimX) + Group.IdxX, (Index.Y * Group.DimY) + Group.IdxY, (Index.Z * Group.DimZ) + Group.IdxZ);

    /// <summary>The thread's place among all threads, group by group.</summary>
    public static int GlobalLinearIndex => (LinearIndex * Group.Dimension.Size) + Group.LinearIndex;
}
