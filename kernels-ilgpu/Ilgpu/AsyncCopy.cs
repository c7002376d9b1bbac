using ILGPU;
using ILGPU.IR.Intrinsics;

namespace PureQLora.Kernels;

/// <summary>
/// Copies from global to shared memory that run beside the thread's other work. A thread sees its own copies after it has waited for them,
/// others after a barrier.
/// </summary>
public static class AsyncCopy
{
    /// <summary>Starts copying one element.</summary>
    /// <typeparam name="T">Of 4, 8 or 16 bytes.</typeparam>
    /// <param name="destination">In shared memory.</param>
    /// <param name="destinationIndex">Element to write.</param>
    /// <param name="source">In global memory.</param>
    /// <param name="sourceIndex">Element to read.</param>
    public static void Issue<T>(ArrayView<T> destination, int destinationIndex, ArrayView<T> source, int sourceIndex)
        where T : unmanaged
    {
        if (Interop.SizeOf<T>() == 16)
        {
            Copy16(ref destination[destinationIndex], ref source[sourceIndex]);
        }
        else if (Interop.SizeOf<T>() == 8)
        {
            Copy8(ref destination[destinationIndex], ref source[sourceIndex]);
        }
        else
        {
            Copy4(ref destination[destinationIndex], ref source[sourceIndex]);
        }
    }

    /// <summary>Starts copying one element of 16 bytes, or writing zeros.</summary>
    /// <typeparam name="T">Of 16 bytes.</typeparam>
    /// <param name="destination">In shared memory.</param>
    /// <param name="destinationIndex">Element to write.</param>
    /// <param name="source">In global memory.</param>
    /// <param name="sourceIndex">Element to read; inside the source in either case.</param>
    /// <param name="copy">False writes zeros.</param>
    public static void IssueOrZero<T>(ArrayView<T> destination, int destinationIndex, ArrayView<T> source, int sourceIndex, bool copy)
        where T : unmanaged => Copy16OrZero(ref destination[destinationIndex], ref source[sourceIndex], copy ? 16 : 0);

    /// <summary>Ends a group of copies.</summary>
    [IntrinsicImplementation, Ptx("cp.async.commit_group")]
    public static void Commit()
    {
    }

    /// <summary>Waits until at most so many of the thread's latest groups are under way.</summary>
    /// <param name="pendingGroups">A constant.</param>
    [IntrinsicImplementation, Ptx("cp.async.wait_group $i0")]
    public static void Wait(int pendingGroups)
    {
    }

    [IntrinsicImplementation, Ptx("cp.async.cg.shared.global [$0], [$1], 16")]
    private static void Copy16<T>(ref T destination, ref T source)
        where T : unmanaged => destination = source;

    [IntrinsicImplementation, Ptx("cp.async.ca.shared.global [$0], [$1], 8")]
    private static void Copy8<T>(ref T destination, ref T source)
        where T : unmanaged => destination = source;

    [IntrinsicImplementation, Ptx("cp.async.ca.shared.global [$0], [$1], 4")]
    private static void Copy4<T>(ref T destination, ref T source)
        where T : unmanaged => destination = source;

    [IntrinsicImplementation, Ptx("cp.async.cg.shared.global [$0], [$1], 16, $2")]
    private static void Copy16OrZero<T>(ref T destination, ref T source, int bytes)
        where T : unmanaged => destination = bytes == 16 ? source : default;
}
