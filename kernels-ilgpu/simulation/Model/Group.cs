using System.Runtime.CompilerServices;
using PureQLora.Kernels.Simulation.Coroutines;
using PureQLora.Kernels.Simulation.Engine;

namespace ILGPU;

/// <summary>The group of the running thread.</summary>
public static class Group
{
    /// <summary>The thread's place along x.</summary>
    public static int IdxX => SimulatedThread.Current.Index.X;

    /// <summary>The thread's place along y.</summary>
    public static int IdxY => SimulatedThread.Current.Index.Y;

    /// <summary>The thread's place along z.</summary>
    public static int IdxZ => SimulatedThread.Current.Index.Z;

    /// <summary>The thread's place.</summary>
    public static Index3D Index => SimulatedThread.Current.Index;

    /// <summary>Threads along x.</summary>
    public static int DimX => Dimension.X;

    /// <summary>Threads along y.</summary>
    public static int DimY => Dimension.Y;

    /// <summary>Threads along z.</summary>
    public static int DimZ => Dimension.Z;

    /// <summary>Threads along all axes.</summary>
    public static Index3D Dimension => SimulatedThread.Current.Group.Launch.Config.GroupDim;

    /// <summary>The thread's place, counted along x first.</summary>
    public static int LinearIndex => SimulatedThread.Current.LinearIndex;

    /// <summary>Whether the thread is the first of its group.</summary>
    public static bool IsFirstThread => LinearIndex == 0;

    /// <summary>Whether the thread is the last of its group.</summary>
    public static bool IsLastThread => LinearIndex == SimulatedThread.Current.Group.Size - 1;

    /// <summary>Waits for all threads of the group; what they wrote before is seen by all after.</summary>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static void Barrier([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        SimulatedThread.Current.GroupBarrier(MeetingKind.Barrier, predicate: false, file, line);

    /// <summary>As <see cref="Barrier"/>; how many threads gave true.</summary>
    /// <param name="predicate">Of this thread.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static int BarrierPopCount(bool predicate, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        SimulatedThread.Current.GroupBarrier(MeetingKind.BarrierPopCount, predicate, file, line);

    /// <summary>As <see cref="Barrier"/>; whether all threads gave true.</summary>
    /// <param name="predicate">Of this thread.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static bool BarrierAnd(bool predicate, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        SimulatedThread thread = SimulatedThread.Current;
        return thread.GroupBarrier(MeetingKind.BarrierAnd, predicate, file, line) == thread.Group.Size;
    }

    /// <summary>As <see cref="Barrier"/>; whether any thread gave true.</summary>
    /// <param name="predicate">Of this thread.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static bool BarrierOr(bool predicate, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        SimulatedThread.Current.GroupBarrier(MeetingKind.BarrierOr, predicate, file, line) > 0;

    /// <summary>As <see cref="Barrier"/>; the value that one thread gave.</summary>
    /// <typeparam name="T">Type of the value.</typeparam>
    /// <param name="value">Of this thread.</param>
    /// <param name="groupIndex">The linear index of the thread whose value all get.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static T Broadcast<T>(T value, int groupIndex, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.GroupBroadcast(value, groupIndex, file, line);
}
