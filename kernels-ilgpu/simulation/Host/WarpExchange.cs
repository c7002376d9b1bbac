using System.Runtime.CompilerServices;
using PureQLora.Kernels.Simulation.Coroutines;
using PureQLora.Kernels.Simulation.Engine;

namespace PureQLora.Kernels.Simulation;

/// <summary>What simulated instructions of whole warps, such as matrix products, are made of.</summary>
public static class WarpExchange
{
    /// <summary>
    /// The values of all lanes, in one meeting of the warp: as much as 32 shuffles. Lanes that a last, smaller warp does not have are left out.
    /// </summary>
    /// <typeparam name="T">Type of the value.</typeparam>
    /// <param name="value">Of this lane.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    /// <returns>Valid until the lane's next shuffle.</returns>
    [Meets]
    public static ReadOnlySpan<T> All<T>(T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.Exchange(value, MeetingKind.Exchange, file, line);
}
