namespace PureQLora.Tools.Bench;

/// <summary>A part of the benchmark, run in a process of its own, so that neither its failure nor its end in time touches the others.</summary>
/// <param name="name">As the command line has it.</param>
/// <param name="title">Of its table.</param>
/// <param name="limit">Seconds it may take.</param>
internal abstract class GpuPart(string name, string title, int limit)
{
    /// <summary>As the command line has it.</summary>
    public string Name => name;

    /// <summary>Of its table.</summary>
    public string Title => title;

    /// <summary>Time it may take.</summary>
    public TimeSpan Limit => TimeSpan.FromSeconds(limit);

    /// <summary>All parts in their order; their limits together are ten minutes.</summary>
    public static IReadOnlyList<GpuPart> All { get; } =
    [
        new GpuTestPart("kernels", "Kernels against the CPU engine and float64", 90, "-class-", "*.Device*", "-class-", "*.PtxTests"),
        new GpuTestPart("operations", "Every operation by the engine's own tests", 70, "-class", "*.Device*", "-class-", "*.DeviceGoldenTests", "-class-", "*.DeviceQLoraTests"),
        new GpuTestPart("golden", "Golden models and trajectories", 50, "-explicit", "on", "-class", "*.DeviceGoldenTests", "-class", "*.DeviceQLoraTests"),
        new GpuProductPart(),
        new GpuFewRowsPart(),
        new GpuAttentionPart(),
        new GpuTrainingPart("training-tinyllama", "tinyllama", 512, 45),
        new GpuDecodePart("decode-tinyllama", "tinyllama", 40),
        new GpuTrainingPart("training-llama2-7b", "llama2-7b", 1024, 100),
        new GpuDecodePart("decode-llama2-7b", "llama2-7b", 70),
    ];

    /// <summary>Measures, and hands over each result as it comes.</summary>
    public abstract void Run(GpuWork work);

    /// <summary>A share in percent, or null.</summary>
    protected static double? Percent(double? share) => 100 * share;

    /// <summary>Seconds in milliseconds, or null.</summary>
    protected static double? Milliseconds(double? seconds) => 1e3 * seconds;
}
