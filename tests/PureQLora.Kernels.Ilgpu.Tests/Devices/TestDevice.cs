using System.Runtime.InteropServices;
using ILGPU;

namespace PureQLora.Kernels.Tests;

/// <summary>The device that this assembly tests on, and arrays on it.</summary>
/// <remarks>
/// Without ILGPU it is the simulation; with it ILGPU's CPU accelerator, or the GPU where the variable PUREQLORA_TEST_DEVICE is cuda. A GPU is
/// opened once, so that each kernel is compiled once. Where PUREQLORA_DEVICE_TESTS is all, ILGPU's CPU accelerator runs the tests of large shapes
/// too.
/// </remarks>
public sealed class TestDevice : IDisposable
{
    /// <summary>Why a test is skipped where <see cref="IsFast"/> is false.</summary>
    public const string Slow = "Takes minutes on ILGPU's CPU accelerator; the simulation and a GPU run it.";

#if ILGPU
    private static readonly Lazy<Device> Gpu = new(() => IlgpuDevice.OpenCuda());
#endif
    private readonly List<DeviceMemory> _blocks = [];

#if ILGPU
    /// <summary>Whether this is a GPU, which all tests share.</summary>
    public static bool IsShared => Environment.GetEnvironmentVariable("PUREQLORA_TEST_DEVICE") == "cuda";

    /// <summary>Whether it runs kernels of many groups in a moment, or is to run them whatever it takes.</summary>
    public static bool IsFast => IsShared || Environment.GetEnvironmentVariable("PUREQLORA_DEVICE_TESTS") is "all" or "full";

    public Device Device { get; } = IsShared ? Gpu.Value : IlgpuDevice.OpenCpu();
#else
    /// <summary>Whether all tests share the device.</summary>
    public static bool IsShared => false;

    /// <summary>Whether it runs kernels of many groups in a moment.</summary>
    public static bool IsFast => true;

    public Device Device { get; } = new SimulatedDevice();
#endif

    /// <summary>A copy of the values.</summary>
    public ArrayView<T> Copy<T>(T[] values)
        where T : unmanaged
    {
        DeviceMemory block = Block(values.Length * Marshal.SizeOf<T>());
        block.Write(0, MemoryMarshal.AsBytes(values.AsSpan()));
        return block.View<T>(0, values.Length);
    }

    /// <summary>Memory that nobody has written.</summary>
    public DeviceMemory Block(long byteLength)
    {
        DeviceMemory block = Device.Allocate(byteLength);
        _blocks.Add(block);
        return block;
    }

    /// <summary>What a block holds.</summary>
    public static T[] Read<T>(DeviceMemory block)
        where T : unmanaged
    {
        T[] values = new T[block.ByteLength / Marshal.SizeOf<T>()];
        block.Read(0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    public void Dispose()
    {
        _blocks.ForEach(block => block.Dispose());
        if (!IsShared)
        {
            Device.Dispose();
        }
    }
}
