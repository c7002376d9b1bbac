using System.Numerics;
using System.Runtime.CompilerServices;
using ILGPU;
using PureQLora.Kernels.Simulation.Engine;

namespace PureQLora.Kernels;

/// <summary>Atomic operations on an element of a view of 4 or 8 bytes. Each returns the element's old value.</summary>
/// <remarks>Atomics order nothing but themselves: the race detector lets them meet each other, but no plain access.</remarks>
public static class ViewAtomics
{
    /// <summary>view[index] += value</summary>
    /// <typeparam name="T">int, uint, long, ulong, float or double.</typeparam>
    /// <param name="view">Global or shared memory.</param>
    /// <param name="index">Element.</param>
    /// <param name="value">Operand.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public static T AtomicAdd<T>(
        this ArrayView<T> view, int index, T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged, INumber<T> => SimulatedThread.Current.Update(view, index, value, static (old, by) => old + by, file, line);

    /// <summary>view[index] = max(view[index], value)</summary>
    /// <inheritdoc cref="AtomicAdd"/>
    public static T AtomicMax<T>(
        this ArrayView<T> view, int index, T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged, INumber<T> => SimulatedThread.Current.Update(view, index, value, static (old, by) => T.Max(old, by), file, line);

    /// <summary>view[index] = min(view[index], value)</summary>
    /// <inheritdoc cref="AtomicAdd"/>
    public static T AtomicMin<T>(
        this ArrayView<T> view, int index, T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged, INumber<T> => SimulatedThread.Current.Update(view, index, value, static (old, by) => T.Min(old, by), file, line);

    /// <summary>view[index] &amp;= value</summary>
    /// <inheritdoc cref="AtomicAdd"/>
    public static T AtomicAnd<T>(
        this ArrayView<T> view, int index, T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged, IBinaryInteger<T> => SimulatedThread.Current.Update(view, index, value, static (old, by) => old & by, file, line);

    /// <summary>view[index] |= value</summary>
    /// <inheritdoc cref="AtomicAdd"/>
    public static T AtomicOr<T>(
        this ArrayView<T> view, int index, T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged, IBinaryInteger<T> => SimulatedThread.Current.Update(view, index, value, static (old, by) => old | by, file, line);

    /// <summary>view[index] ^= value</summary>
    /// <inheritdoc cref="AtomicAdd"/>
    public static T AtomicXor<T>(
        this ArrayView<T> view, int index, T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged, IBinaryInteger<T> => SimulatedThread.Current.Update(view, index, value, static (old, by) => old ^ by, file, line);

    /// <summary>view[index] = value</summary>
    /// <inheritdoc cref="AtomicAdd"/>
    public static T AtomicExchange<T>(
        this ArrayView<T> view, int index, T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged, INumber<T> => SimulatedThread.Current.Update(view, index, value, static (_, by) => by, file, line);

    /// <summary>view[index] = value if view[index] equals <paramref name="compare"/></summary>
    /// <typeparam name="T">int, uint, long, ulong, float or double.</typeparam>
    /// <param name="view">Global or shared memory.</param>
    /// <param name="index">Element.</param>
    /// <param name="compare">What the element must be.</param>
    /// <param name="value">What it becomes.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public static T AtomicCompareExchange<T>(
        this ArrayView<T> view, int index, T compare, T value, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged, INumber<T> =>
        SimulatedThread.Current.Update(view, index, (compare, value), static (old, by) => old == by.compare ? by.value : old, file, line);
}
