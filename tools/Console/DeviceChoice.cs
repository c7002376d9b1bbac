using PureQLora.Core;
using PureQLora.Kernels;
using PureQLora.Training;

namespace PureQLora.Tools;

/// <summary>The backend that <c>--device</c> asked for, started; never another one in silence.</summary>
public sealed class DeviceChoice : IDisposable
{
    private readonly string _reason;

    private DeviceChoice(IBackend backend, string reason = "") => (Backend, _reason) = (backend, reason);

    /// <summary>Computes.</summary>
    public IBackend Backend { get; }

    /// <summary>The same where it has memory of its own, else null.</summary>
    public IDeviceBackend? Device => Backend as IDeviceBackend;

    /// <summary>The device in words, and why it was taken where that was left open.</summary>
    public string Description => Backend.Description + _reason;

    /// <summary>Opens the GPU; tests put another device in its place.</summary>
    internal static Func<IDeviceBackend> OpenGpu { get; set; } = IlgpuBackends.OpenCuda;

    /// <summary>Starts a device.</summary>
    /// <param name="device">auto, cpu, cuda or simulation.</param>
    /// <param name="threads">Threads of the processor; 0 takes one a processor.</param>
    /// <exception cref="UserErrorException">The device is unknown or not available.</exception>
    public static DeviceChoice Open(string device, int threads)
    {
        CommonOptions.RequireThreads(threads);
        return device switch
        {
            "cpu" => new DeviceChoice(new CpuBackend(threads)),
            "auto" => OpenBest(threads),
            "cuda" => new DeviceChoice(OpenCuda()),
            "simulation" => new DeviceChoice(IlgpuBackends.OpenSimulation()),
            _ => throw new UserErrorException($"--device is {device}, allowed auto, cpu, cuda and simulation."),
        };
    }

    /// <summary>Refuses work that the device has no room for, and prints what it takes.</summary>
    /// <param name="plan">Plans it; not called for the processor.</param>
    /// <param name="ways">Settings that would make it smaller.</param>
    /// <exception cref="UserErrorException">There is not enough memory.</exception>
    public void Require(Func<MemoryPlanner, MemoryPlan> plan, params (string Setting, Func<MemoryPlanner, MemoryPlan> Plan)[] ways) => Require(plan, ways, null);

    /// <summary>Refuses work that the device has no room for, and prints what it takes.</summary>
    /// <param name="plan">Plans it; not called for the processor.</param>
    /// <param name="ways">Settings that would make it smaller.</param>
    /// <param name="otherwise">What to do where none of them would do, or null for what training can do.</param>
    /// <exception cref="UserErrorException">There is not enough memory.</exception>
    public void Require(Func<MemoryPlanner, MemoryPlan> plan, (string Setting, Func<MemoryPlanner, MemoryPlan> Plan)[] ways, string? otherwise)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (Device is { } device)
        {
            MemoryPlanner planner = new(device);
            MemoryPlan wanted = plan(planner);
            PlanRefusal.Require(planner, wanted, ways.Select(way => (way.Setting, (Func<MemoryPlan>)(() => way.Plan(planner)))), otherwise);
            System.Console.Error.WriteLine($"memory  {wanted}; free {ByteSize.Text(planner.Available)}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => (Backend as IDisposable)?.Dispose();

    private static DeviceChoice OpenBest(int threads)
    {
        try
        {
            return new DeviceChoice(OpenGpu(), " (auto: a GPU is there)");
        }
        catch (DeviceMissingException exception)
        {
            return new DeviceChoice(new CpuBackend(threads), $" (auto: {exception.Reason})");
        }
    }

    private static IDeviceBackend OpenCuda()
    {
        try
        {
            return OpenGpu();
        }
        catch (DeviceMissingException exception)
        {
            throw new UserErrorException(exception.Message, exception);
        }
    }
}
