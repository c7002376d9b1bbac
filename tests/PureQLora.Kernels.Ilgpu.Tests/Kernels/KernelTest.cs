using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>Base of the tests of kernels: the same operation on the device and on the CPU engine.</summary>
public abstract class KernelTest : IDisposable
{
    private readonly TestDevice _test = new();

    protected KernelTest()
    {
        Gpu = new IlgpuBackend(_test.Device);
        Cpu = new CpuBackend();
    }

    protected IlgpuBackend Gpu { get; }

    protected CpuBackend Cpu { get; }

    /// <summary>How often the host has waited for the device.</summary>
    protected long Waits => _test.Device.Waits;

#if !ILGPU
    /// <summary>What the last launch did to memory.</summary>
    protected PureQLora.Kernels.Simulation.LaunchReport LastLaunch => ((SimulatedDevice)_test.Device).LastReport!;
#endif

    public void Dispose()
    {
        if (!TestDevice.IsShared)
        {
            Gpu.Dispose();
        }

        _test.Dispose();
        Cpu.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>A seeded host tensor with values in [−1, 1).</summary>
    protected static Tensor Host(Shape shape, int seed) => Tensor.From(Seeded.Floats((int)shape.Count, seed), shape);

    /// <summary>A copy on the device.</summary>
    protected Tensor Device(Tensor host)
    {
        DeviceMemory memory = _test.Block(host.ByteLength);
        byte[] bytes = new byte[host.ByteLength];
        host.Storage.Read(host.ByteOffset, bytes);
        memory.Write(0, bytes);
        return new Tensor(host.Shape, host.DataType, memory);
    }

    /// <summary>Device memory that nobody has written.</summary>
    protected Tensor Unwritten(Shape shape, DataType type = DataType.Float32) =>
        new(shape, type, _test.Block(shape.Count * type.Size()));

    /// <summary>Compares element by element.</summary>
    /// <param name="expected">Of the CPU.</param>
    /// <param name="actual">Of the device.</param>
    /// <param name="tolerance">Relative to 1 + |expected|; 1e-5 for float32: other orders of summing, approximate exponentials.</param>
    protected static void Close(Tensor expected, Tensor actual, double tolerance = 1e-5) =>
        Close(Array.ConvertAll(expected.ToArray(), value => (double)value), actual, tolerance);

    /// <inheritdoc cref="Close(Tensor, Tensor, double)"/>
    protected static void Close(double[] expected, Tensor actual, double tolerance = 1e-5)
    {
        float[] values = actual.ToArray();
        Assert.Equal(expected.Length, values.Length);
        for (int i = 0; i < values.Length; i++)
        {
            Assert.True(expected[i] == values[i] || Math.Abs(expected[i] - values[i]) <= tolerance * (1 + Math.Abs(expected[i])), $"element {i}: expected {expected[i]:G9}, got {values[i]:G9}");
        }
    }
}
