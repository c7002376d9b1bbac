namespace PureQLora.Core;

/// <summary>A device that can run every operation: the union of the operations' kernel contracts.</summary>
/// <remarks>
/// Kernels are synchronous as seen from the caller. Outputs are written whole unless the contract says "adds to". Gradients are added to,
/// or written where a <see cref="GradientTarget"/> says so; they are float32, and a null one is not computed. Results depend neither on the
/// number of threads nor on timing.
/// </remarks>
public interface IBackend :
    IMemoryKernels,
    IUnaryKernels,
    IBinaryKernels,
    IReductionKernels,
    ISoftmaxKernels,
    ITransposeKernels,
    ICopyKernels,
    IGatherKernels,
    ICastKernels,
    IDropoutKernels,
    INormKernels,
    IAdamWKernels,
    IMatMulKernels,
    IWeightMatMulKernels,
    IQLoraLinearKernels,
    IScaleGradientKernels,
    ICrossEntropyKernels,
    IKullbackLeiblerKernels,
    IRmsNormKernels,
    IRotaryEmbeddingKernels,
    ICausalAttentionKernels,
    ISwiGluKernels
{
    /// <summary>Name of the backend as the command line has it, such as <c>cpu</c>.</summary>
    string Name { get; }

    /// <summary>The device in words, as the tools print it and as results keep it, such as <c>cpu, avx512-bf16, 2 threads</c>.</summary>
    string Description { get; }

    /// <summary>What training takes unless it is told otherwise: bfloat16 where this device multiplies it faster than float32.</summary>
    Precision PreferredPrecision { get; }
}
