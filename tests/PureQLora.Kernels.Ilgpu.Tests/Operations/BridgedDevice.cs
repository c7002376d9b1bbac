using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>The device of this assembly's tests behind a <see cref="HostBridge"/>.</summary>
/// <remarks>The largest shapes of the engine's tests are left out unless the variable <c>PUREQLORA_DEVICE_TESTS</c> is <c>full</c>.</remarks>
public sealed class BridgedDevice : IDisposable
{
    private const long MostMultiplications = 60_000;

    private readonly TestDevice _test;
    private readonly CpuBackend _host;
    private readonly IlgpuBackend _device;

    public BridgedDevice()
    {
        Assert.SkipUnless(TestDevice.IsFast, TestDevice.Slow);
        (_test, _host) = (new TestDevice(), new CpuBackend(threads: 1));
        _device = new IlgpuBackend(_test.Device);
        Backend = HostBridge.Create(_device, _host);
    }

    /// <summary>Share of the elements that tests of large tensors take.</summary>
    public static double Scale => IsFull ? 1 : 0.02;

    private static bool IsFull => Environment.GetEnvironmentVariable("PUREQLORA_DEVICE_TESTS") == "full";

    /// <summary>Whether a case of so many multiplications is left out.</summary>
    public static bool IsTooLong(long multiplications) => !IsFull && multiplications > MostMultiplications;

    /// <summary>Computes on the device with tensors of the host.</summary>
    public IBackend Backend { get; }

    public void Dispose()
    {
        if (!TestDevice.IsShared)
        {
            _device.Dispose();
        }

        _host.Dispose();
        _test.Dispose();
    }
}
