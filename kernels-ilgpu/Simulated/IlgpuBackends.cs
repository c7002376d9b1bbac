namespace PureQLora.Kernels;

/// <summary>The devices of a build without ILGPU.</summary>
public static class IlgpuBackends
{
    /// <summary>There is no GPU without ILGPU.</summary>
    /// <exception cref="DeviceMissingException">Always; it tells how to get ILGPU.</exception>
    public static IlgpuBackend OpenCuda() => throw new DeviceMissingException(
        "this build has no ILGPU", "run dotnet restore kernels-ilgpu -p:UseIlgpu=true and build again");

    /// <summary>What stands in for a GPU: the simulation, which is some ten thousand times slower.</summary>
    public static IlgpuBackend OpenSimulation() => new(new SimulatedDevice());
}
