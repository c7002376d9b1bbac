using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>The engine on the processor: always there and always right.</summary>
public sealed unsafe partial class CpuBackend : IBackend, IDisposable
{
    private readonly WorkerPool _pool;
    private readonly CpuTier _tier;

    /// <summary>Starts the engine.</summary>
    /// <param name="threads">Threads that compute at once; 0 takes one a processor. Results do not depend on it.</param>
    /// <param name="tier">Instructions to use; null takes what <see cref="CpuTierNames.Variable"/> says, or else the highest.</param>
    /// <exception cref="ArgumentOutOfRangeException">Threads is negative, or the tier cannot run here.</exception>
    /// <exception cref="UserErrorException">The variable names no tier, or one that cannot run here.</exception>
    public CpuBackend(int threads = 0, CpuTier? tier = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        if (tier is { } given && Obstacle(given) is { } obstacle)
        {
            throw new ArgumentOutOfRangeException(nameof(tier), tier, $"The tier {given.Name()} cannot run: {obstacle}.");
        }

        (_tier, TierReason) = tier is { } asked
            ? new CpuTierChoice(asked, null)
            : CpuTierSelection.OfThisMachine.Choose(Environment.GetEnvironmentVariable(CpuTierNames.Variable));

        // Tiles belong to threads that were prepared for them, which a caller's thread is not.
        int workers = threads == 0 ? Environment.ProcessorCount : threads;
        _pool = _tier == CpuTier.Amx
            ? new WorkerPool(workers, callerComputes: false, static () => new AmxThread())
            : new WorkerPool(workers);
    }

    /// <inheritdoc/>
    public string Name => "cpu";

    /// <inheritdoc/>
    public string Description => $"{Name}, {_tier.Name()}, {Threads} {(Threads == 1 ? "thread" : "threads")}{(TierReason is null ? "" : $" ({TierReason})")}";

    /// <inheritdoc/>
    public Precision PreferredPrecision =>
        _tier == CpuTier.Amx || (_tier == CpuTier.Avx512BFloat16 && CpuFeatures.Avx512BFloat16IsFast) ? Precision.BFloat16 : Precision.Float32;

    /// <summary>Highest tier of this processor and system; that its code runs was tried once.</summary>
    public static CpuTier SupportedTier => CpuTierSelection.OfThisMachine.Highest;

    /// <summary>The instructions that the kernels use.</summary>
    public CpuTier Tier => _tier;

    /// <summary>Why it is not the processor's highest tier; null where it is, or where the program chose it.</summary>
    public string? TierReason { get; }

    /// <summary>Why a tier cannot run here, such as "this processor lacks AVX2 with FMA"; null where it can.</summary>
    public static string? Obstacle(CpuTier tier) => CpuTierSelection.OfThisMachine.Obstacle(tier);

    /// <summary>Threads that compute at once.</summary>
    public int Threads => _pool.Threads;

    /// <inheritdoc/>
    public Storage Allocate(long byteLength) => new CpuStorage(byteLength);

    /// <inheritdoc/>
    public bool Reaches(Storage storage) => storage is CpuStorage;

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
