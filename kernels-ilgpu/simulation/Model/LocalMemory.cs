using System.Runtime.CompilerServices;
using ILGPU.Runtime;
using PureQLora.Kernels.Simulation.Engine;

namespace ILGPU;

/// <summary>Arrays of one thread. Their contents are undefined at first.</summary>
public static class LocalMemory
{
    /// <summary>A new array of this thread.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="extent">Elements.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public static ArrayView<T> Allocate<T>(int extent, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.AllocateLocal<T>(extent, file, line);

    /// <inheritdoc cref="Allocate{T}(int, string, int)"/>
    public static ArrayView1D<T, Stride1D.Dense> Allocate1D<T>(Index1D extent, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where T : unmanaged => SimulatedThread.Current.AllocateLocal<T>(extent, file, line);
}
