using ILGPU;

namespace PureQLora.Kernels.Simulation;

/// <summary>What the C# bodies of instructions of whole warps are made of on ILGPU's CPU accelerator; never compiled for a GPU.</summary>
internal static unsafe class WarpExchange
{
    /// <summary>The values of all lanes. A shuffle there meets twice, this four times for 32 of them.</summary>
    /// <param name="value">Of this lane.</param>
    /// <returns>Valid until the lane's next exchange.</returns>
    public static ReadOnlySpan<T> All<T>(T value)
        where T : unmanaged
    {
        T[] received = Buffers<T>.Received ??= new T[Warp.WarpSize];
        T[] offered = Buffers<T>.Offered ??= GC.AllocateArray<T>(Warp.WarpSize, pinned: true);
        T* all;
        fixed (T* own = offered)
        {
            all = (T*)Warp.Shuffle((long)own, 0);
        }

        all[Warp.LaneIdx] = value;
        Warp.Barrier();
        new ReadOnlySpan<T>(all, Warp.WarpSize).CopyTo(received);
        Warp.Barrier();
        return received;
    }

    /// <summary>Every lane is a thread of the system; lane 0's array is the one that all write to.</summary>
    private static class Buffers<T>
        where T : unmanaged
    {
        [ThreadStatic]
        public static T[]? Offered;

        [ThreadStatic]
        public static T[]? Received;
    }
}
