using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

public sealed class IlgpuBackendTests : KernelTest
{
    [Fact]
    public void Backend_GivenAPass_ShouldRunTheEnginesOperationsInItsArena()
    {
        (Tensor x, Tensor weight) = (Host(new(1, 2, 2, 4), 1), Host(new(4), 2));
        using ComputeScope cpu = new(Cpu);
        using ComputeScope gpu = new(Gpu);

        Close(Pass(cpu, x, weight), Pass(gpu, Device(x), Device(weight)));
    }

    [Fact]
    public void Backend_WhenAsked_ShouldSayWhatItIs()
    {
        Assert.Equal(("cuda", Precision.BFloat16), (Gpu.Name, Gpu.PreferredPrecision));
        Assert.StartsWith("cuda, ", Gpu.Description, StringComparison.Ordinal);
    }

    private static Tensor Pass(ComputeScope scope, Tensor x, Tensor weight)
    {
        Tensor normal = RmsNorm.Forward(scope, x, weight, 1e-5f);
        return CausalAttention.Forward(scope, normal, normal, x, default, 0.5f);
    }
}
