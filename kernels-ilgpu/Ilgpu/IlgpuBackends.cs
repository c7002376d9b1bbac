namespace PureQLora.Kernels;

/// <summary>The devices of a build with ILGPU.</summary>
public static class IlgpuBackends
{
    /// <summary>The first NVIDIA GPU of the driver.</summary>
    /// <exception cref="DeviceMissingException">There is none.</exception>
    public static IlgpuBackend OpenCuda() => new(IlgpuDevice.OpenCuda());

    /// <summary>What stands in for a GPU: ILGPU's CPU accelerator, which is some ten thousand times slower.</summary>
    public static IlgpuBackend OpenSimulation() => new(IlgpuDevice.OpenCpu());
}
