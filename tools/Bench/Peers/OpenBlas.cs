using System.Runtime.InteropServices;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>OpenBLAS as the system has it: products in float32.</summary>
internal sealed unsafe partial class OpenBlas : IDisposable
{
    private const string Library = "libopenblas.so.0";
    private const int RowMajor = 101;
    private const int NoTranspose = 111;
    private const int Transpose = 112;

    private readonly nint _library;
    private readonly delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void> _sgemm;

    private OpenBlas(nint library, int threads)
    {
        _library = library;
        _sgemm = (delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void>)NativeLibrary.GetExport(library, "cblas_sgemm");
        ((delegate* unmanaged<int, void>)NativeLibrary.GetExport(library, "openblas_set_num_threads"))(threads);
        string core = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)NativeLibrary.GetExport(library, "openblas_get_corename"))())!;
        string configuration = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)NativeLibrary.GetExport(library, "openblas_get_config"))())!;
        Version = $"{string.Join(' ', configuration.Split(' ').Take(2))} {core}";
    }

    /// <summary>Such as <c>OpenBLAS 0.3.21 SkylakeX</c>, the kernels that it uses at the end.</summary>
    public string Version { get; }

    /// <summary>Loads it, or says in one sentence that it is missing.</summary>
    /// <param name="threads">Threads it may use.</param>
    public static OpenBlas? TryLoad(int threads)
    {
        if (OperatingSystem.IsLinux() && CpuFeatures.Avx512)
        {
            // A version older than the processor does not know it and would take its AVX2 kernels; what the user has set stays.
            _ = SetEnvironment("OPENBLAS_CORETYPE", "SkylakeX", overwrite: 0);
        }

        if (NativeLibrary.TryLoad(Library, out nint library))
        {
            return new OpenBlas(library, threads);
        }

        Report.Missing($"OpenBLAS: {Library} is not on this machine; Debian's package is libopenblas0-pthread.");
        return null;
    }

    /// <summary>y = x · Wᵀ</summary>
    /// <param name="x">[m, k]</param>
    /// <param name="weight">[n, k]</param>
    /// <param name="y">[m, n]</param>
    /// <param name="m">Rows of x.</param>
    /// <param name="n">Output features.</param>
    /// <param name="k">Input features.</param>
    public void Multiply(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, Span<float> y, int m, int n, int k)
    {
        fixed (float* a = x, b = weight, c = y)
        {
            _sgemm(RowMajor, NoTranspose, Transpose, m, n, k, 1f, a, k, b, k, 0f, c, n);
        }
    }

    /// <summary>Unlike .NET's own, this changes what native libraries see.</summary>
    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    /// <summary>Unloads it.</summary>
    public void Dispose() => NativeLibrary.Free(_library);
}
