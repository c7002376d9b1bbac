using PureQLora.Core;
using PureQLora.Tools;

namespace PureQLora.Kernels.Tests;

/// <summary>Gives the tools a simulated GPU for <c>--device cuda</c> and <c>auto</c>, as long as a test lasts.</summary>
internal sealed class SimulatedGpu : IDisposable
{
    private readonly Func<IDeviceBackend> _before = DeviceChoice.OpenGpu;

    public SimulatedGpu(Func<Device> open) => DeviceChoice.OpenGpu = () => new IlgpuBackend(open());

    public void Dispose() => DeviceChoice.OpenGpu = _before;
}
