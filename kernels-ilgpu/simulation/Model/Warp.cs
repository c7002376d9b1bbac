using System.Runtime.CompilerServices;
using PureQLora.Kernels.Simulation.Coroutines;
using PureQLora.Kernels.Simulation.Engine;

namespace ILGPU;

/// <summary>The warp of the running thread: 32 threads whose instructions run together.</summary>
/// <remarks>
/// As in CUDA, a shuffle waits for the lanes of the warp but orders no memory accesses; <see cref="Barrier"/> does both.
/// </remarks>
public static class Warp
{
    /// <summary>Threads of a warp.</summary>
    public static int WarpSize => WarpRun.Size;

    /// <summary>The thread's place in its warp.</summary>
    public static int LaneIdx => SimulatedThread.Current.Lane;

    /// <summary>The warp's place in its group.</summary>
    public static int WarpIdx => SimulatedThread.Current.Warp.Index;

    /// <summary>Whether the thread is the first of its warp.</summary>
    public static bool IsFirstLane => LaneIdx == 0;

    /// <summary>Whether the thread is the last of its warp.</summary>
    public static bool IsLastLane => LaneIdx == WarpRun.Size - 1;

    /// <summary>Waits for all threads of the warp; what they wrote before is seen by all of them after.</summary>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static void Barrier([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        SimulatedThread.Current.WarpBarrier(file, line);

    /// <summary>The value of one lane.</summary>
    /// <typeparam name="T">Type of the value.</typeparam>
    /// <param name="variable">Of this lane.</param>
    /// <param name="sourceLane">Modulo the width.</param>
    /// <param name="width">A power of two: the warp is cut into segments of so many lanes.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static T Shuffle<T>(
        T variable, int sourceLane, int width = WarpRun.Size, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged
    {
        SimulatedThread thread = SimulatedThread.Current;
        int first = thread.Lane & -width;
        return thread.Shuffle(variable, first + (sourceLane & (width - 1)), MeetingKind.Shuffle, file, line);
    }

    /// <summary>The value of the lane <paramref name="delta"/> further up in the segment, or one's own past its end.</summary>
    /// <typeparam name="T">Type of the value.</typeparam>
    /// <param name="variable">Of this lane.</param>
    /// <param name="delta">Lanes.</param>
    /// <param name="width">A power of two: the warp is cut into segments of so many lanes.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static T ShuffleDown<T>(
        T variable, int delta, int width = WarpRun.Size, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged
    {
        SimulatedThread thread = SimulatedThread.Current;
        int source = (thread.Lane & (width - 1)) + delta < width ? thread.Lane + delta : thread.Lane;
        return thread.Shuffle(variable, source, MeetingKind.ShuffleDown, file, line);
    }

    /// <summary>The value of the lane <paramref name="delta"/> further down in the segment, or one's own before its start.</summary>
    /// <typeparam name="T">Type of the value.</typeparam>
    /// <param name="variable">Of this lane.</param>
    /// <param name="delta">Lanes.</param>
    /// <param name="width">A power of two: the warp is cut into segments of so many lanes.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static T ShuffleUp<T>(
        T variable, int delta, int width = WarpRun.Size, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged
    {
        SimulatedThread thread = SimulatedThread.Current;
        int source = (thread.Lane & (width - 1)) >= delta ? thread.Lane - delta : thread.Lane;
        return thread.Shuffle(variable, source, MeetingKind.ShuffleUp, file, line);
    }

    /// <summary>The value of the lane whose number differs in the bits of <paramref name="mask"/>, or one's own if that is in a later segment.</summary>
    /// <typeparam name="T">Type of the value.</typeparam>
    /// <param name="variable">Of this lane.</param>
    /// <param name="mask">Bits to flip.</param>
    /// <param name="width">A power of two: the warp is cut into segments of so many lanes.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static T ShuffleXor<T>(
        T variable, int mask, int width = WarpRun.Size, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged
    {
        SimulatedThread thread = SimulatedThread.Current;
        int source = thread.Lane ^ mask;
        int lastOfSegment = thread.Lane | (width - 1);
        return thread.Shuffle(variable, source <= lastOfSegment ? source : thread.Lane, MeetingKind.ShuffleXor, file, line);
    }

    /// <summary>The value of one lane.</summary>
    /// <typeparam name="T">Type of the value.</typeparam>
    /// <param name="value">Of this lane.</param>
    /// <param name="sourceLane">The lane whose value all get.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    [Meets]
    public static T Broadcast<T>(T value, int sourceLane, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.Shuffle(value, sourceLane & (WarpRun.Size - 1), MeetingKind.Broadcast, file, line);
}
