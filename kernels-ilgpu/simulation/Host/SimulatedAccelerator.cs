using ILGPU;
using PureQLora.Kernels.Simulation.Coroutines;
using PureQLora.Kernels.Simulation.Engine;

namespace PureQLora.Kernels.Simulation;

/// <summary>A device that runs kernels one thread at a time, always in the same order, and looks at everything that they do.</summary>
/// <remarks>One launch at a time; not for several threads.</remarks>
public sealed class SimulatedAccelerator : IDisposable
{
    private const int MaxGroupSize = 1024;

    private readonly SimulationOptions _options;
    private readonly WorkerPool _workers = new();
    private readonly List<IDisposable> _buffers = [];
    private int _nextSerial = Memory.ShadowCell.HostSerial + 1;

    /// <summary>A device.</summary>
    /// <param name="options">How it runs kernels.</param>
    public SimulatedAccelerator(SimulationOptions? options = null) => _options = options ?? new SimulationOptions();

    /// <summary>What the last launch did.</summary>
    public LaunchReport? LastReport { get; private set; }

    /// <summary>Memory that must be written before it is read.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="length">Elements.</param>
    /// <param name="name">Name in messages.</param>
    public SimulatedBuffer<T> Allocate<T>(long length, string? name = null)
        where T : unmanaged => Keep(new SimulatedBuffer<T>(NameOf<T>(name, length), length, isInitialised: false));

    /// <summary>Memory with these values.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="data">Copied.</param>
    /// <param name="name">Name in messages.</param>
    public SimulatedBuffer<T> Allocate<T>(ReadOnlySpan<T> data, string? name = null)
        where T : unmanaged
    {
        SimulatedBuffer<T> buffer = Keep(new SimulatedBuffer<T>(NameOf<T>(name, data.Length), data.Length, isInitialised: true));
        buffer.CopyFrom(data);
        return buffer;
    }

    /// <inheritdoc cref="Allocate{T}(ReadOnlySpan{T}, string?)"/>
    public SimulatedBuffer<T> Allocate<T>(T[] data, string? name = null)
        where T : unmanaged => Allocate<T>(data.AsSpan(), name);

    /// <summary>Runs a kernel of one argument, which may be a struct of many.</summary>
    /// <typeparam name="TArguments">Type of the argument.</typeparam>
    /// <param name="kernel">What every thread runs.</param>
    /// <param name="config">Groups and threads.</param>
    /// <param name="arguments">The argument.</param>
    /// <returns>What the launch did to memory.</returns>
    /// <exception cref="KernelFaultException">The kernel is faulty.</exception>
    public LaunchReport Launch<TArguments>(Action<TArguments> kernel, KernelConfig config, TArguments arguments)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        return Launch(kernel, config, () => kernel(arguments), [arguments!]);
    }

    /// <summary>Runs a kernel of any arguments.</summary>
    /// <param name="kernel">What every thread runs: a static method.</param>
    /// <param name="config">Groups and threads.</param>
    /// <param name="arguments">The arguments, of exactly the types of the parameters.</param>
    /// <inheritdoc cref="Launch{TArguments}"/>
    public LaunchReport Launch(Delegate kernel, KernelConfig config, params object[] arguments)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        System.Reflection.MethodInvoker invoker = System.Reflection.MethodInvoker.Create(kernel.Method);
        return Launch(kernel, config, () => invoker.Invoke(kernel.Target, arguments.AsSpan()!), arguments);
    }

    /// <summary>Runs a kernel without groups: one thread for every index.</summary>
    /// <param name="kernel">Gets the index.</param>
    /// <param name="extent">How many.</param>
    /// <param name="groupSize">Threads that run as a group all the same.</param>
    /// <inheritdoc cref="Launch{TArguments}"/>
    public LaunchReport LaunchImplicit(Action<Index1D> kernel, Index1D extent, int groupSize = 256)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        return Launch(NameOf(kernel), new KernelConfig((extent + groupSize - 1) / groupSize, groupSize), () =>
        {
            Index1D index = Grid.GlobalIndex.X;
            if (index < extent)
            {
                kernel(index);
            }
        });
    }

    /// <summary>Runs what a closure does.</summary>
    /// <param name="name">The kernel's name in messages.</param>
    /// <param name="config">Groups and threads.</param>
    /// <param name="body">Calls the kernel with its arguments.</param>
    /// <inheritdoc cref="Launch{TArguments}"/>
    public LaunchReport Launch(string name, KernelConfig config, Action body) =>
        Launch(name, config, body, program: null, obstacle: "It is a closure; only a static method can be followed.");

    /// <summary>Ends the device and gives all its memory back.</summary>
    public void Dispose()
    {
        _workers.Dispose();
        _buffers.ForEach(buffer => buffer.Dispose());
    }

    private static string NameOf(Delegate kernel) => $"{kernel.Method.DeclaringType?.Name}.{kernel.Method.Name}";

    private LaunchReport Launch(Delegate kernel, KernelConfig config, Action body, object[] arguments)
    {
        string? obstacle = "SimulationOptions.UseSystemThreads asks for it.";
        CoroutineProgram? program = _options.UseSystemThreads ? null : CoroutineProgram.Create(kernel, arguments, out obstacle);
        return Launch(NameOf(kernel), config, body, program, obstacle);
    }

    private LaunchReport Launch(string name, KernelConfig config, Action body, CoroutineProgram? program, string? obstacle)
    {
        CheckConfig(config);
        Engine.Launch launch = new(name, body, program, config, _nextSerial, _options, _workers);
        Random? random = _options.Seed is { } seed ? new Random(seed) : null;
        using GroupRun group = new(launch);
        for (int i = 0; i < config.GridDim.Size; i++)
        {
            group.Run(_nextSerial++, random);
        }

        LastReport = new LaunchReport(launch, group.Shared.ByteLength, obstacle);
        return launch.Faults.Faults.Count == 0 ? LastReport : throw new KernelFaultException(launch.Faults.Faults, LastReport);
    }

    private string NameOf<T>(string? name, long length) => $"global {name ?? $"buffer {_buffers.Count}"} ({typeof(T).Name}[{length}])";

    private SimulatedBuffer<T> Keep<T>(SimulatedBuffer<T> buffer)
        where T : unmanaged
    {
        _buffers.Add(buffer);
        return buffer;
    }

    private void CheckConfig(KernelConfig config)
    {
        if (Math.Min(config.GridDim.X, Math.Min(config.GridDim.Y, config.GridDim.Z)) < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(config), config.GridDim, "A launch has at least one group along each axis.");
        }

        if (Math.Min(config.GroupDim.X, Math.Min(config.GroupDim.Y, config.GroupDim.Z)) < 1 || config.GroupDim.Size > MaxGroupSize)
        {
            throw new ArgumentOutOfRangeException(nameof(config), config.GroupDim, $"A group has 1 to {MaxGroupSize} threads.");
        }

        if (config.SharedMemoryConfig.ArraySize > _options.SharedMemoryPerGroup)
        {
            throw new ArgumentOutOfRangeException(
                nameof(config), config.SharedMemoryConfig.ArraySize, $"A group has at most {_options.SharedMemoryPerGroup} bytes of shared memory.");
        }
    }
}
