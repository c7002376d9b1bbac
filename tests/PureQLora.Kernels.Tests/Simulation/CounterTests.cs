using ILGPU;
using PureQLora.Kernels.Simulation;

namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>The counters equal what is counted by hand, whatever the order of the threads.</summary>
public sealed class CounterTests
{
    private const int N = LayoutKernels.N;

    public static TheoryData<int?> Seeds => new() { (int?)null, 1 };

    [Theory]
    [MemberData(nameof(Seeds))]
    public void GlobalMemory_GivenAWalkAlongRows_ShouldCostTheIdealNumberOfSectors(int? seed)
    {
        LaunchReport report = Run(LayoutKernels.CopyByRows, seed);

        // 32 requests of 128 bytes, four sectors each.
        Assert.Equal(new AccessCounters(N, N * 4, N * 4), report.GlobalLoads);
        Assert.Equal(new AccessCounters(N, N * 4, N * 4), report.GlobalStores);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void GlobalMemory_GivenAWalkAlongColumns_ShouldCostEightTimesAsMany(int? seed)
    {
        LaunchReport report = Run(LayoutKernels.CopyByColumns, seed);

        // Every lane of every request has a sector of its own.
        Assert.Equal(new AccessCounters(N, N * 32, N * 4), report.GlobalLoads);
        Assert.Equal(new AccessCounters(N, N * 4, N * 4), report.GlobalStores);
        SiteCounters site = report.Sites.Single(site => !site.IsStore);
        Assert.Equal(("LayoutKernels.cs", MemorySpace.Global, report.GlobalLoads), (site.File, site.Space, site.Counters));
    }

    [Theory]
    [InlineData(32, 32)] // all words of a column in one bank
    [InlineData(33, 1)] // padded: every word in a bank of its own
    [InlineData(34, 2)]
    [InlineData(36, 4)]
    public void SharedMemory_GivenAPitch_ShouldHaveItsBankConflicts(int pitch, int wavefronts)
    {
        using SimulatedAccelerator accelerator = new();
        ArrayView<float> x = accelerator.Allocate(new float[N * N]).View;

        LaunchReport report = accelerator.Launch(LayoutKernels.Transpose, new KernelConfig(1, N), x, accelerator.Allocate<float>(N * N).View, pitch);

        Assert.Equal(new AccessCounters(N, N, N), report.SharedStores);
        Assert.Equal(new AccessCounters(N, N * wavefronts, N), report.SharedLoads);
        Assert.Equal(N * (wavefronts - 1), report.BankConflicts);
        Assert.Equal(N * pitch * sizeof(float), report.SharedBytes);
        Assert.Equal(1, report.GroupBarriers);
    }

    [Fact]
    public void Memory_GivenVectors_ShouldCountTheirBytes()
    {
        LaunchReport report = Run(LayoutKernels.Vectors, seed: null);

        // 32 · 16 bytes are 16 sectors; 16 bytes for all lanes are one.
        Assert.Equal(new AccessCounters(2, 17, 17), report.GlobalLoads);

        // Eight lanes of 16 bytes at a time; the same word for all is no conflict.
        Assert.Equal(new AccessCounters(1, 4, 4), report.SharedStores);
        Assert.Equal(new AccessCounters(1, 4, 4), report.SharedLoads);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void GlobalMemory_GivenLanesThatDiverge_ShouldPutTheirNthAccessesTogether(int? seed)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed });
        ArrayView<ushort> x = accelerator.Allocate(new ushort[2 * N]).View;

        LaunchReport report = accelerator.Launch(LayoutKernels.Unevenly, new KernelConfig(1, N), x, accelerator.Allocate<float>(N).View);

        // First all lanes, 64 bytes; then the odd ones, half of 64 bytes.
        Assert.Equal(new AccessCounters(2, 4, 3), report.GlobalLoads);
    }

    [Fact]
    public void Report_GivenALaunch_ShouldPrintATable()
    {
        string table = Run(LayoutKernels.CopyByColumns, seed: null).ToString();

        Assert.Contains("LayoutKernels.CopyByColumns: (1, 1, 1) groups of (32, 1, 1) threads", table, StringComparison.Ordinal);
        Assert.Matches(@"global loads +32 +1024 +128", table);
        Assert.Matches(@"LayoutKernels\.cs:\d+ global load +32 +1024 +128", table);
    }

    private static LaunchReport Run(Action<ArrayView<float>, ArrayView<float>> kernel, int? seed)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed });
        ArrayView<float> x = accelerator.Allocate(new float[N * N]).View;
        ArrayView<float> y = accelerator.Allocate(new float[N * N]).View;
        return accelerator.Launch(kernel, new KernelConfig(1, N), x, y);
    }
}
