using ILGPU.Backends;
using ILGPU.IR;
using ILGPU.IR.Transformations;

namespace PureQLora.Kernels;

/// <summary>
/// Tells ILGPU's compiler at optimisation level O1 that what a kernel is given lies in global memory, as level O2 would, which it must not be
/// compiled at: O2 moves loads across barriers.
/// </summary>
internal sealed class AddressSpaceHook : IBackendHook
{
    public static readonly AddressSpaceHook Instance = new();

    private readonly Transformer _transformer;

    private AddressSpaceHook()
    {
        Transformer.Builder builder = Transformer.CreateBuilder(TransformerConfiguration.Empty);
        builder.Add(new InferKernelAddressSpaces(MemoryAddressSpace.Global));
        builder.Add(new InferLocalAddressSpaces());
        builder.Add(new DeadCodeElimination());
        builder.Add(new SimplifyControlFlow());
        _transformer = builder.ToTransformer();
    }

    public void InitializedKernelContext(IRContext kernelContext, Method kernelMethod) => kernelContext.Transform(_transformer);

    public void OptimizedKernelContext(IRContext kernelContext, Method kernelMethod)
    {
    }

    public void FinishedCodeGeneration(IRContext context, Method entryPoint)
    {
    }
}
