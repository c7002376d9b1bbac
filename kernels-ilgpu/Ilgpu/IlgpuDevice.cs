using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using PureQLora.Core;

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
        Name = accelerator is CudaAccelerator cuda ? $"{cuda.Name}, compute {cuda.Architecture.Major}.{cuda.Architecture.Minor}" : "ILGPU on the CPU";
    }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override long MemoryTotal => _accelerator is CudaAccelerator ? _accelerator.MemorySize : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <inheritdoc/>
    public override long MemoryFree => _accelerator is CudaAccelerator cuda ? cuda.GetFreeMemory() : MemoryTotal - GC.GetGCMemoryInfo().MemoryLoadBytes;

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
    /// <exception cref="DeviceMissingException">There is no such GPU, or no driver, or it is older than compute capability 8.0.</exception>
    public static IlgpuDevice OpenCuda(int index = 0)
    {
        if (!CudaDriver.IsInstalled)
        {
            throw new DeviceMissingException("no NVIDIA driver was found", $"{CudaDriver.FileName} cannot be loaded; install the driver");
        }

        Context context = IlgpuContext.Create(builder => builder.Cuda());
        try
        {
            IReadOnlyList<CudaDevice> devices = [.. context.GetCudaDevices()];
            if (index >= devices.Count)
            {
                throw new DeviceMissingException(
                    devices.Count == 0 ? "the NVIDIA driver shows no GPU" : $"the NVIDIA driver shows {devices.Count} GPUs, number {index} is not among them",
                    "see what nvidia-smi says");
            }

            if (devices[index].Architecture is not { } architecture || architecture < CudaArchitecture.SM_80)
            {
                throw new DeviceMissingException(
                    $"{devices[index].Name} has compute capability {devices[index].Architecture}, older than 8.0", "take an RTX 30, an A100 or a later GPU");
            }

            return new IlgpuDevice(context, devices[index].CreateCudaAccelerator(context));
        }
        catch (AcceleratorException exception)
        {
            context.Dispose();
            throw new DeviceMissingException($"the NVIDIA driver refuses its GPU ({exception.Message})", "see what nvidia-smi says", exception);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override DeviceMemory Allocate(long byteLength)
    {
        try
        {
            return new IlgpuMemory(this, _stream, _accelerator.Allocate1D<byte>(Math.Max(16, byteLength)), byteLength);
        }
        catch (AcceleratorException exception)
        {
            throw Failure(exception, byteLength);
        }
    }

    /// <inheritdoc/>
    public override PinnedMemory AllocatePinned(int byteLength) => new IlgpuPinnedMemory(_accelerator, byteLength);

    /// <inheritdoc/>
    public override void Launch<TArguments>(Kernel<TArguments> kernel, LaunchShape shape, TArguments arguments)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        try
        {
            if (!_launchers.TryGetValue(kernel, out Delegate? launcher))
            {
                launcher = Load(kernel);
                _launchers.Add(kernel, launcher);
            }

            KernelConfig config = new(new Index3D(shape.GroupsX, shape.GroupsY, 1), new Index3D(kernel.GroupSize, 1, 1));
            ((Action<AcceleratorStream, KernelConfig, TArguments>)launcher)(_stream, config, arguments);
        }
        catch (AcceleratorException exception)
        {
            throw Failure(exception);
        }
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
        try
        {
            _stream.Synchronize();
        }
        catch (AcceleratorException exception)
        {
            throw Failure(exception);
        }
    }

    /// <summary>What to throw where the driver reports an error.</summary>
    /// <param name="exception">The driver's word for it.</param>
    /// <param name="byteLength">Bytes that were asked for.</param>
    internal DeviceFailedException Failure(AcceleratorException exception, long byteLength = 0) =>
        exception is CudaException { Error: nameof(CudaError.CUDA_ERROR_OUT_OF_MEMORY) }
            ? OutOfMemory(byteLength, exception)
            : new DeviceFailedException($"{Name} does not answer any more ({exception.Message}); dmesg and nvidia-smi may tell why. Start again, or use --device cpu.", exception);

    /// <summary>Starts copying bytes of the host to a block, in the order of the launches; they may be changed at once.</summary>
    internal void Upload(IlgpuMemory memory, long byteOffset, ReadOnlySpan<byte> source) => _uploads.Write(memory, byteOffset, source);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            try
            {
                _uploads.Dispose();
                _stream.Dispose();
                _accelerator.Dispose();
                _context.Dispose();
            }
            catch (AcceleratorException)
            {
                // A device that is lost refuses this too; what lost it has been told already.
            }
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
