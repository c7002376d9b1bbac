using ILGPU;
using PureQLora.Kernels.Simulation.Coroutines;
using PureQLora.Kernels.Simulation.Counting;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>A kernel on its way through all groups.</summary>
internal sealed class Launch(string kernel, Action body, CoroutineProgram? program, KernelConfig config, int firstSerial, SimulationOptions options, WorkerPool workers)
{
    /// <summary>Name in messages.</summary>
    public string Kernel { get; } = kernel;

    /// <summary>What every thread runs.</summary>
    public Action Body { get; } = body;

    /// <summary>The same as a coroutine; null to run <see cref="Body"/>.</summary>
    public CoroutineProgram? Program { get; } = program;

    /// <summary>Extents.</summary>
    public KernelConfig Config { get; } = config;

    /// <summary>The number of the first group.</summary>
    public int FirstSerial { get; } = firstSerial;

    /// <summary>Settings.</summary>
    public SimulationOptions Options { get; } = options;

    /// <summary>Stacks for threads.</summary>
    public WorkerPool Workers { get; } = workers;

    /// <summary>Places in the source.</summary>
    public SiteTable Sites { get; } = new();

    /// <summary>What was found.</summary>
    public FaultLog Faults { get; } = new(options.MaxFaults);

    /// <summary>What was counted.</summary>
    public LaunchCounters Counters { get; } = new();

    /// <summary>The groups in the order in which they run, by their linear index.</summary>
    public int[] Order { get; } = DrawOrder(config.GridDim.Size, options.Seed);

    /// <summary>The place of a group in the grid; they are numbered as they run.</summary>
    public Index3D GroupIndex(int serial) => Config.GridDim.Reconstruct(Order[serial - FirstSerial]);

    /// <summary>The place of a thread in its group.</summary>
    public Index3D ThreadIndex(int linear) => Config.GroupDim.Reconstruct(linear);

    private static int[] DrawOrder(int groups, int? seed)
    {
        int[] order = [.. Enumerable.Range(0, groups)];
        if (seed is { } value)
        {
            new Random(value).Shuffle(order);
        }

        return order;
    }
}
