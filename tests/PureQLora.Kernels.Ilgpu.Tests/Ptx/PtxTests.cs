#if ILGPU
namespace PureQLora.Kernels.Tests;

/// <summary>What ILGPU makes of the kernels for compute capability 8.0, compiled without a GPU.</summary>
public sealed class PtxTests
{
    [Fact]
    public void Intrinsics_WhenCompiled_ShouldBeTheirInstructions()
    {
        using PtxCompiler compiler = new();

        string product = compiler.Compile(IntrinsicKernels.Product);
        string transposed = compiler.Compile(IntrinsicKernels.TransposedProduct);
        string copy = compiler.Compile(IntrinsicKernels.Copy);

        Assert.Contains("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", product, StringComparison.Ordinal);
        Assert.Contains("ldmatrix.sync.aligned.m8n8.x4.shared.b16", product, StringComparison.Ordinal);
        Assert.Contains("cp.async.cg.shared.global", product, StringComparison.Ordinal);
        Assert.Contains("cp.async.commit_group", product, StringComparison.Ordinal);
        Assert.Contains("st.global.v4", product, StringComparison.Ordinal);
        Assert.Contains("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", transposed, StringComparison.Ordinal);
        Assert.Contains("cp.async.wait_group 1;", copy, StringComparison.Ordinal);
        Assert.Contains("prmt.b32", compiler.Compile(IntrinsicKernels.Bytes), StringComparison.Ordinal);
        Assert.Contains("cvt.rn.bf16x2.f32", compiler.Compile(IntrinsicKernels.Pack), StringComparison.Ordinal);
        Assert.Contains("shfl", compiler.Compile(IntrinsicKernels.Reduce), StringComparison.Ordinal);
        Assert.DoesNotContain(".local", product, StringComparison.Ordinal);
    }
}
#endif
