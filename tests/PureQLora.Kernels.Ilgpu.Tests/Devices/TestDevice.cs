using System.Runtime.InteropServices;
using ILGPU;

namespace PureQLora.Kernels.Tests;

/// <summary>The device that this assembly tests on, and arrays on it.</summary>
public sealed class TestDevice : IDisposable
{
    private readonly List<DeviceMemory> _blocks = [];

#if ILGPU
    public Device Device { get; } = IlgpuDevice.OpenCpu();
#else
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
        Device.Dispose();
    }
}
