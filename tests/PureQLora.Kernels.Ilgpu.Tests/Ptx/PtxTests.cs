#if ILGPU
using System.Reflection;

namespace PureQLora.Kernels.Tests;

/// <summary>What ILGPU makes of the kernels for compute capability 8.0, compiled without a GPU.</summary>
public sealed class PtxTests(PtxTests.Compilation compilation) : IClassFixture<PtxTests.Compilation>
{
    public static TheoryData<string> Names => [.. All.Keys];

    private static Dictionary<string, Kernel> All { get; } = typeof(Kernel).Assembly.GetTypes()
        .Where(type => !type.ContainsGenericParameters)
        .SelectMany(type => type.GetFields(BindingFlags.Public | BindingFlags.Static))
        .Where(field => field.FieldType.IsAssignableTo(typeof(Kernel)))
        .ToDictionary(field => $"{field.DeclaringType!.Name}.{field.Name}", field => (Kernel)field.GetValue(null)!, StringComparer.Ordinal);

    [Fact]
    public void Intrinsics_WhenCompiled_ShouldBeTheirInstructions()
    {
        string product = compilation.Of(IntrinsicKernels.Product);
        string copy = compilation.Of(IntrinsicKernels.Copy);

        Assert.Contains("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", product, StringComparison.Ordinal);
        Assert.Contains("ldmatrix.sync.aligned.m8n8.x4.shared.b16", product, StringComparison.Ordinal);
        Assert.Contains("cp.async.cg.shared.global", product, StringComparison.Ordinal);
        Assert.Contains("cp.async.commit_group", product, StringComparison.Ordinal);
        Assert.Contains("st.global.v4", product, StringComparison.Ordinal);
        Assert.Contains("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", compilation.Of(IntrinsicKernels.TransposedProduct), StringComparison.Ordinal);
        Assert.Contains("cp.async.wait_group 1;", copy, StringComparison.Ordinal);
        Assert.Contains("prmt.b32", compilation.Of(IntrinsicKernels.Bytes), StringComparison.Ordinal);
        Assert.Contains("cvt.rn.bf16x2.f32", compilation.Of(IntrinsicKernels.Pack), StringComparison.Ordinal);
        Assert.Contains("shfl", compilation.Of(IntrinsicKernels.Reduce), StringComparison.Ordinal);
    }

    [Fact]
    public void Attention_WhenCompiled_ShouldMultiplyOnTensorCoresWhatComesByAsynchronousCopies()
    {
        foreach (string name in All.Keys.Where(name => name.StartsWith("CausalAttentionKernels.", StringComparison.Ordinal) && char.IsDigit(name[^1])))
        {
            string ptx = compilation.Of(All[name]);
            Assert.Contains("mma.sync", ptx, StringComparison.Ordinal);
            Assert.Contains("ldmatrix.sync.aligned.m8n8.x4.trans", ptx, StringComparison.Ordinal);
            Assert.Contains("cp.async.cg.shared.global", ptx, StringComparison.Ordinal);
            Assert.Contains("ex2.approx", ptx, StringComparison.Ordinal);
        }
    }

    /// <remarks>A tile of 64 × 32 sums of a warp takes 32 mma a step of 32; a loop not unrolled would have fewer, one unrolled too far more.</remarks>
    [Theory]
    [InlineData("QLoraLinearKernels.Forward4", false)]
    [InlineData("QLoraLinearKernels.Forward8", false)]
    [InlineData("QLoraLinearKernels.InputGradient4", true)]
    [InlineData("QLoraLinearKernels.InputGradient8", true)]
    [InlineData("MatMulKernels.BFloat16", false)]
    public void Product_WhenCompiled_ShouldMultiplyOnTensorCoresWhatComesByAsynchronousCopies(string name, bool transposes)
    {
        string ptx = compilation.Of(All[name]);

        Assert.Contains("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", ptx, StringComparison.Ordinal);
        Assert.Contains("ldmatrix.sync.aligned.m8n8.x4.shared.b16", ptx, StringComparison.Ordinal);
        Assert.Equal(transposes, ptx.Contains("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", StringComparison.Ordinal));
        Assert.Contains("cp.async.cg.shared.global", ptx, StringComparison.Ordinal);
        Assert.Contains("cp.async.wait_group", ptx, StringComparison.Ordinal);
    }

    [Fact]
    public void FewRows_WhenCompiled_ShouldReadCodesIn128BitsAndTurnThemIntoNumbersWithoutConversions()
    {
        foreach (string name in All.Keys.Where(name => name.StartsWith("QLoraLinearFewRowsKernels.", StringComparison.Ordinal)))
        {
            string ptx = compilation.Of(All[name]);
            Assert.Contains("ld.global.v4.b32", ptx, StringComparison.Ordinal);
            Assert.Contains(name.Contains(".Book", StringComparison.Ordinal) ? "shfl.sync.idx" : "prmt.b32", ptx, StringComparison.Ordinal);
            Assert.DoesNotMatch(@"cvt\.\w+\.f32\.[us]", ptx);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Kernel_WhenCompiled_ShouldUseNoLocalMemoryAndKnowItsAddresses(string name)
    {
        string ptx = compilation.Of(All[name]);

        Assert.DoesNotContain(".local", ptx, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"\b(ld|st)\.(v[24]\.)?[bfus]\d", ptx);
        Assert.DoesNotContain("call", ptx, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Kernel_WhenAssembledByPtxas_ShouldNotSpill(string name)
    {
        Assert.SkipUnless(PtxAssembler.IsInstalled, "ptxas is not on the path; it comes with NVIDIA's CUDA toolkit.");

        AssembledKernel assembled = PtxAssembler.Run(compilation.Of(All[name]));

        TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {assembled}");
        Assert.Equal((0, 0), (assembled.StackBytes, assembled.SpilledBytes));
        Assert.InRange(assembled.SharedBytes, 0, 48 * 1024);

        // What the kernel's own plan leaves a thread: a multiprocessor has 65,536 registers, and shared memory of at least 100 KB.
        int groups = Math.Max(1, All[name].MinGroups);
        Assert.InRange(assembled.Registers, 1, Math.Min(255, (1 << 16) / (All[name].GroupSize * groups)));
        Assert.InRange(assembled.SharedBytes * groups, 0, 100 * 1024);
    }

    /// <remarks>One that uses every instruction of ours and one that multiplies; what compute capability 8.0 takes, later ones do.</remarks>
    [Theory]
    [InlineData("QLoraLinearKernels.Forward4", "sm_86")]
    [InlineData("QLoraLinearKernels.Forward4", "sm_89")]
    [InlineData("QLoraLinearKernels.Forward4", "sm_90")]
    [InlineData("QLoraLinearFewRowsKernels.Forward4Rows1", "sm_90")]
    [InlineData("CausalAttentionKernels.KeyGradient128", "sm_90")]
    public void Kernel_WhenAssembledForLaterGpus_ShouldNotSpill(string name, string architecture)
    {
        Assert.SkipUnless(PtxAssembler.IsInstalled, "ptxas is not on the path; it comes with NVIDIA's CUDA toolkit.");

        AssembledKernel assembled = PtxAssembler.Run(compilation.Of(All[name]), architecture);

        Assert.Equal((0, 0), (assembled.StackBytes, assembled.SpilledBytes));
    }

    /// <summary>One compiler for all tests, each kernel compiled once.</summary>
    public sealed class Compilation : IDisposable
    {
        private readonly PtxCompiler _compiler = new();
        private readonly Dictionary<Kernel, string> _texts = [];

        public string Of(Kernel kernel)
        {
            if (!_texts.TryGetValue(kernel, out string? text))
            {
                text = _compiler.Compile(kernel);
                _texts.Add(kernel, text);
            }

            return text;
        }

        public void Dispose() => _compiler.Dispose();
    }
}
#endif
