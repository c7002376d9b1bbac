using System.Runtime.CompilerServices;
using ILGPU.Runtime;
using PureQLora.Kernels.Simulation.Engine;

namespace ILGPU;

/// <summary>Memory that the threads of a group share. Its contents are undefined at the start of a group.</summary>
public static class SharedMemory
{
    /// <summary>An array of the group: the n-th call of every thread gives the same one.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="extent">Elements, the same for all threads.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public static ArrayView<T> Allocate<T>(int extent, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.AllocateShared<T>(extent, file, line);

    /// <inheritdoc cref="Allocate{T}(int, string, int)"/>
    public static ArrayView1D<T, Stride1D.Dense> Allocate1D<T>(Index1D extent, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.AllocateShared<T>(extent, file, line);

    /// <summary>The dynamic shared memory that the launch asked for, all of it, whatever the element type.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    public static ArrayView<T> GetDynamic<T>()
        where T : unmanaged => SimulatedThread.Current.Group.Shared.Dynamic<T>();
}
