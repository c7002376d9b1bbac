using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace PureQLora.Kernels;

/// <summary>The driver's library, which is looked for before ILGPU does, since that takes long and tells little.</summary>
internal static class CudaDriver
{
    /// <summary>Where a Linux has the library only by its versioned name, ILGPU does not find it by itself.</summary>
    static CudaDriver() => AssemblyLoadContext.Default.ResolvingUnmanagedDll += static (_, name) =>
        name is "cuda" && NativeLibrary.TryLoad(FileName, out nint library) ? library : 0;

    /// <summary>Name of the library.</summary>
    public static string FileName => OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";

    /// <summary>Whether it is there.</summary>
    public static bool IsInstalled => NativeLibrary.TryLoad(FileName, out _);
}
