using System.Runtime.CompilerServices;
using ILGPU;
using PureQLora.Kernels.Simulation.Engine;

namespace PureQLora.Kernels;

/// <summary>
/// Copies from global to shared memory that go on while the thread does something else: cp.async, cp.async.commit_group and
/// cp.async.wait_group.
/// </summary>
/// <remarks>
/// The destination must not be touched from the issue on. Here it counts as not written until the thread that issued the copy has waited for
/// its group; to other threads it is visible after a barrier that follows that.
/// </remarks>
public static class AsyncCopy
{
    /// <summary>Starts a copy of one element.</summary>
    /// <typeparam name="T">4, 8 or 16 bytes.</typeparam>
    /// <param name="destination">Shared memory.</param>
    /// <param name="destinationIndex">Element.</param>
    /// <param name="source">Global memory.</param>
    /// <param name="sourceIndex">Element.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public static void Issue<T>(
        ArrayView<T> destination, int destinationIndex, ArrayView<T> source, int sourceIndex,
        [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.IssueCopy(destination, destinationIndex, source, sourceIndex, copy: true, file, line);

    /// <summary>Starts a copy of one element, or of zeros in its place; the source is then not read.</summary>
    /// <typeparam name="T">4, 8 or 16 bytes.</typeparam>
    /// <param name="destination">Shared memory.</param>
    /// <param name="destinationIndex">Element.</param>
    /// <param name="source">Global memory.</param>
    /// <param name="sourceIndex">Element; may be anything for zeros.</param>
    /// <param name="copy">False for zeros.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public static void IssueOrZero<T>(
        ArrayView<T> destination, int destinationIndex, ArrayView<T> source, int sourceIndex, bool copy,
        [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.IssueCopy(destination, destinationIndex, source, sourceIndex, copy, file, line);

    /// <summary>Makes a group of the copies that the thread has issued since the last one; it may be empty.</summary>
    public static void Commit() => SimulatedThread.Current.Copies.Commit();

    /// <summary>Waits until at most so many of the thread's latest groups are under way.</summary>
    /// <param name="pendingGroups">0 waits for all.</param>
    public static void Wait(int pendingGroups) => SimulatedThread.Current.WaitForCopies(pendingGroups);
}
