using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace PureQLora.Kernels;

/// <summary>Compiles kernels to PTX without a GPU, exactly as a GPU would be given them, so that they can be looked at and checked.</summary>
/// <remarks>One failed compilation spoils ILGPU's context; make a new compiler then.</remarks>
public sealed class PtxCompiler : IDisposable
{
    private readonly Context _context;
    private readonly PTXBackend _backend;

    /// <summary>A compiler for compute capability 8.0 (A100, and everything later), PTX ISA 7.8.</summary>
    public PtxCompiler()
    {
        _context = IlgpuContext.Create(_ => { });
        _backend = new PTXBackend(_context, CudaArchitecture.SM_80, CudaInstructionSet.ISA_78, null!);
    }

    /// <summary>The text of a kernel.</summary>
    public string Compile(Kernel kernel)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        return ((PTXCompiledKernel)_backend.Compile(
            EntryPointDescription.FromExplicitlyGroupedKernel(kernel.Method), Specialization(kernel), AddressSpaceHook.Instance)).PTXAssembly;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _backend.Dispose();
        _context.Dispose();
    }

    internal static KernelSpecialization Specialization(Kernel kernel) => new(kernel.GroupSize, kernel.MinGroups > 0 ? kernel.MinGroups : null);
}
