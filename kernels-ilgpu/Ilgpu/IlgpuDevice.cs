using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;

namespace PureQLora.Kernels;

/// <summary>A device of ILGPU: an NVIDIA GPU, or the CPU that stands in for one in tests. One stream, one thread.</summary>
public sealed class IlgpuDevice : Device
{
    /// <summary>What may be on its way to the device.</summary>
    private const int UploadBytes = 16 << 20;

    private readonly Context _context;
    private readonly Accelerator _accelerator;
    private readonly AcceleratorStream _stream;
    private readonly Dictionary<Kernel, Delegate> _launchers = [];
    private readonly UploadRing _uploads;

    private IlgpuDevice(Context context, Accelerator accelerator)
    {
        (_context, _accelerator) = (context, accelerator);
        _stream = accelerator.CreateStream();
        _uploads = new UploadRing(this, UploadBytes);
    }

    /// <inheritdoc/>
    public override string Name => _accelerator is CudaAccelerator cuda ? $"{cuda.Name}, compute {cuda.Architecture.Major}.{cuda.Architecture.Minor}" : "ILGPU on the CPU";

    /// <inheritdoc/>
    public override long MemoryTotal => _accelerator.MemorySize;

    /// <inheritdoc/>
    public override long MemoryFree => _accelerator is CudaAccelerator cuda ? cuda.GetFreeMemory() : _accelerator.MemorySize;

    /// <inheritdoc/>
    public override int Multiprocessors => _accelerator.NumMultiprocessors;

    /// <summary>ILGPU's CPU accelerator with warps of 32 threads. It is slow, and finds no races.</summary>
    public static IlgpuDevice OpenCpu()
    {
        // Eight warps of 32 lanes: our largest group. Each lane is a thread of the system.
        CPUDevice device = new(numThreadsPerWarp: 32, numWarpsPerMultiprocessor: 8, numMultiprocessors: 1);
        Context context = IlgpuContext.Create(builder => builder.CPU(device));
        return new IlgpuDevice(context, device.CreateCPUAccelerator(context, CPUAcceleratorMode.Parallel));
    }

    /// <summary>An NVIDIA GPU.</summary>
    /// <param name="index">Which one, in the order of the driver.</param>
    /// <exception cref="NotSupportedException">There is no such GPU, or no driver, or it is older than compute capability 8.0.</exception>
    public static IlgpuDevice OpenCuda(int index = 0)
    {
        Context context = IlgpuContext.Create(builder => builder.Cuda());
        try
        {
            IReadOnlyList<CudaDevice> devices = [.. context.GetCudaDevices()];
            if (index >= devices.Count)
            {
                throw new NotSupportedException($"The NVIDIA driver shows {devices.Count} GPUs, number {index} is not among them; use --device cpu.");
            }

            if (devices[index].Architecture is not { } architecture || architecture < CudaArchitecture.SM_80)
            {
                throw new NotSupportedException(
                    $"{devices[index].Name} has compute capability {devices[index].Architecture}, needed is 8.0 (RTX 30, A100) or later; use --device cpu.");
            }

            return new IlgpuDevice(context, devices[index].CreateCudaAccelerator(context));
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override DeviceMemory Allocate(long byteLength) => new IlgpuMemory(this, _accelerator, _stream, byteLength);

    /// <inheritdoc/>
    public override PinnedMemory AllocatePinned(int byteLength) => new IlgpuPinnedMemory(_accelerator, byteLength);

    /// <inheritdoc/>
    public override void Launch<TArguments>(Kernel<TArguments> kernel, LaunchShape shape, TArguments arguments)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        if (!_launchers.TryGetValue(kernel, out Delegate? launcher))
        {
            launcher = Load(kernel);
            _launchers.Add(kernel, launcher);
        }

        KernelConfig config = new(new Index3D(shape.GroupsX, shape.GroupsY, 1), new Index3D(kernel.GroupSize, 1, 1));
        ((Action<AcceleratorStream, KernelConfig, TArguments>)launcher)(_stream, config, arguments);
    }

    /// <inheritdoc/>
    public override void Synchronize() => _stream.Synchronize();

    /// <summary>Starts copying bytes of the host to a block, in the order of the launches; they may be changed at once.</summary>
    internal void Upload(IlgpuMemory memory, long byteOffset, ReadOnlySpan<byte> source) => _uploads.Write(memory, byteOffset, source);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _uploads.Dispose();
            _stream.Dispose();
            _accelerator.Dispose();
            _context.Dispose();
        }
    }

    private Action<AcceleratorStream, KernelConfig, TArguments> Load<TArguments>(Kernel<TArguments> kernel)
        where TArguments : struct
    {
        if (_accelerator is not CudaAccelerator cuda)
        {
            return _accelerator.LoadKernel(kernel.Body);
        }

        ILGPU.Backends.CompiledKernel compiled = cuda.Backend.Compile(
            EntryPointDescription.FromExplicitlyGroupedKernel(kernel.Method), PtxCompiler.Specialization(kernel), AddressSpaceHook.Instance);
        return _accelerator.LoadKernel(compiled).CreateLauncherDelegate<Action<AcceleratorStream, KernelConfig, TArguments>>();
    }
}
