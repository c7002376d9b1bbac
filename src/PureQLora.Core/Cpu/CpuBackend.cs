using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>The engine on the processor: always there and always right.</summary>
public sealed unsafe partial class CpuBackend : IBackend, IDisposable
{
    private readonly WorkerPool _pool;
    private readonly CpuTier _tier;

    /// <summary>Starts the engine.</summary>
    /// <param name="threads">Threads that compute at once; 0 takes one a processor. Results do not depend on it.</param>
    /// <param name="tier">Widest vectors of the matrix products; null takes what the processor has.</param>
    /// <exception cref="ArgumentOutOfRangeException">Threads is negative, or the processor has no such vectors.</exception>
    public CpuBackend(int threads = 0, CpuTier? tier = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        _tier = tier ?? SupportedTier;
        if (_tier < CpuTier.Vector128 || _tier > SupportedTier)
        {
            throw new ArgumentOutOfRangeException(nameof(tier), tier, $"This processor has {SupportedTier} at most.");
        }

        _pool = new WorkerPool(threads == 0 ? Environment.ProcessorCount : threads);
    }

    /// <inheritdoc/>
    public string Name => "cpu";

    /// <summary>Highest tier of this processor and system.</summary>
    public static CpuTier SupportedTier { get; } =
        CpuFeatures.Avx512BFloat16 && CpuFeatures.Avx512Vnni ? CpuTier.Avx512BFloat16
        : CpuFeatures.Avx512 ? CpuTier.Avx512
        : Vector256.IsHardwareAccelerated && Fma.IsSupported ? CpuTier.Avx2
        : CpuTier.Vector128;

    /// <summary>The instructions that the kernels use.</summary>
    public CpuTier Tier => _tier;

    /// <summary>Threads that compute at once.</summary>
    public int Threads => _pool.Threads;

    /// <inheritdoc/>
    public Storage Allocate(long byteLength) => new CpuStorage(byteLength);

    /// <inheritdoc/>
    public void Zero(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        NativeMemory.Clear(x.Host(), (nuint)x.ByteLength);
    }

    /// <inheritdoc/>
    public void Fill(Tensor x, float value)
    {
        ArgumentNullException.ThrowIfNull(x);
        float* p = (float*)x.Host(DataType.Float32);
        for (long start = 0; start < x.Shape.Count; start += 1 << 20)
        {
            new Span<float>(p + start, (int)Math.Min(1 << 20, x.Shape.Count - start)).Fill(value);
        }
    }

    /// <inheritdoc/>
    public void Move(Storage source, long sourceOffset, Storage destination, long destinationOffset, long byteLength) =>
        Buffer.MemoryCopy(
            ((CpuStorage)source).Pointer + sourceOffset, ((CpuStorage)destination).Pointer + destinationOffset, byteLength, byteLength);

    private static float* Floats(Tensor? x) => x is null ? null : (float*)x.Host(DataType.Float32);

    private static int* Ints(Tensor? x) => x is null ? null : (int*)x.Host(DataType.Int32);

    /// <summary>Rows of one chunk, so that a chunk has about <see cref="ElementGrain"/> elements.</summary>
    private static long RowGrain(long width) => Math.Max(1, ElementGrain / Math.Max(1, width));

    /// <summary>Stops the worker threads.</summary>
    public void Dispose() => _pool.Dispose();
}
