using ILGPU;
using PureQLora.Kernels.Simulation;

namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>Sound kernels compute what they should, whatever the order of their threads, and nothing is found wrong with them.</summary>
public sealed class ExecutionTests
{
    /// <summary>Orders of the threads, and both ways of running them.</summary>
    public static TheoryData<int?, bool> Ways => new() { { null, false }, { 1, false }, { 2, false }, { null, true } };

    [Theory]
    [MemberData(nameof(Ways))]
    public void MatMul_GivenTilesInSharedMemory_ShouldEqualTheSum(int? seed, bool useSystemThreads)
    {
        const int N = 16;
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed, UseSystemThreads = useSystemThreads });
        float[] a = Numbers(N * N, 1);
        float[] b = Numbers(N * N, 2);
        SimulatedBuffer<float> c = accelerator.Allocate<float>(N * N);
        KernelConfig config = new(new Index2D(N / SoundKernels.Tile, N / SoundKernels.Tile), new Index2D(SoundKernels.Tile, SoundKernels.Tile));

        accelerator.Launch(SoundKernels.MatMul, config, accelerator.Allocate(a).View, accelerator.Allocate(b).View, c.View, N);

        float[] result = c.ToArray();
        for (int i = 0; i < N * N; i++)
        {
            float expected = 0;
            for (int k = 0; k < N; k++)
            {
                expected += a[(i / N * N) + k] * b[(k * N) + (i % N)];
            }

            Assert.Equal(expected, result[i]);
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Sum_GivenShufflesAndBarriers_ShouldAddEachGroup(int? seed, bool useSystemThreads)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed, UseSystemThreads = useSystemThreads });
        float[] x = [.. Enumerable.Range(0, 3 * 128).Select(i => (float)i)];
        SimulatedBuffer<float> sums = accelerator.Allocate<float>(3);

        LaunchReport report = accelerator.Launch(SoundKernels.Sum, new KernelConfig(3, 128), accelerator.Allocate(x).View, sums.View);

        Assert.Equal([x[..128].Sum(), x[128..256].Sum(), x[256..].Sum()], sums.ToArray());
        Assert.Equal(3, report.GroupBarriers);
        Assert.Equal(3 * 4 * 5, report.Shuffles);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Shuffle_GivenEveryKind_ShouldGiveWhatCudaGives(int? seed, bool useSystemThreads)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed, UseSystemThreads = useSystemThreads });
        SimulatedBuffer<int> result = accelerator.Allocate<int>(64 * 7);

        accelerator.Launch(SoundKernels.Shuffles, new KernelConfig(1, 64), result.View);

        int[] values = result.ToArray();
        for (int thread = 0; thread < 64; thread++)
        {
            int lane = thread % 32;
            int[] expected =
            [
                5, (lane & ~7) + 1, lane >= 3 ? lane - 3 : lane, lane + 3 < 32 ? lane + 3 : lane,
                lane % 16 < 13 ? lane + 3 : lane, lane ^ 9, 31,
            ];
            Assert.Equal(expected, values[(thread * 7)..((thread + 1) * 7)]);
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Barrier_GivenVotes_ShouldCountThem(int? seed, bool useSystemThreads)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed, UseSystemThreads = useSystemThreads });
        SimulatedBuffer<int> result = accelerator.Allocate<int>(50);

        accelerator.Launch(SoundKernels.Votes, new KernelConfig(1, 50), result.View);

        Assert.All(result.ToArray(), value => Assert.Equal((25 * 100) + 1 + 4 + 40, value));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Atomics_GivenDynamicSharedMemory_ShouldCount(int? seed, bool useSystemThreads)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed, UseSystemThreads = useSystemThreads });
        int[] x = [.. Enumerable.Range(0, 128).Select(i => i * i % 10)];
        SimulatedBuffer<int> counts = accelerator.Allocate(new int[10]);
        KernelConfig config = new(2, 64, SharedMemoryConfig.RequestDynamic<int>(10));

        LaunchReport report = accelerator.Launch(SoundKernels.Histogram, config, accelerator.Allocate(x).View, counts.View);

        Assert.Equal(Enumerable.Range(0, 10).Select(digit => x.Count(value => value == digit)), counts.ToArray());
        Assert.Equal(128, report.SharedAtomics);
        Assert.Equal(20, report.GlobalAtomics);
        Assert.Equal(40, report.SharedBytes);
    }

    [Fact]
    public void Atomics_GivenEveryKind_ShouldChangeTheElement()
    {
        using SimulatedAccelerator accelerator = new();
        SimulatedBuffer<int> x = accelerator.Allocate([0, 0, 0, -1, 0, 0, 7]);

        accelerator.Launch(SoundKernels.Atomics, new KernelConfig(1, 9), x.View);

        Assert.Equal([8, -8, 15, -1 << 9, 3, 9, 8], x.ToArray());
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void AsyncCopy_GivenTwoStages_ShouldBringEveryTile(int? seed, bool useSystemThreads)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed, UseSystemThreads = useSystemThreads });
        Quad[] x = [.. Enumerable.Range(0, 3 * 32).Select(i => new Quad(i, 1, 2, 3))];
        SimulatedBuffer<float> y = accelerator.Allocate<float>(32);

        accelerator.Launch(SoundKernels.Pipeline, new KernelConfig(1, 32), accelerator.Allocate(x).View, y.View, 3);

        Assert.Equal(Enumerable.Range(0, 32).Select(lane => (3f * ((lane + 1) % 32)) + 96 + 18), y.ToArray());
    }

    [Fact]
    public void LocalMemory_GivenABarrier_ShouldStayTheThreads()
    {
        using SimulatedAccelerator accelerator = new();
        SimulatedBuffer<float> y = accelerator.Allocate<float>(40);

        accelerator.Launch(SoundKernels.Locals, new KernelConfig(1, 40), y.View);

        Assert.Equal(Enumerable.Range(0, 40).Select(i => (float)(i * i * i) + 1), y.ToArray());
    }

    [Fact]
    public void Launch_GivenAnExtent_ShouldRunOneThreadForEachIndex()
    {
        using SimulatedAccelerator accelerator = new();
        SimulatedBuffer<float> x = accelerator.Allocate(new float[1000]);
        ArrayView<float> view = x.View;

        accelerator.LaunchImplicit(index => SoundKernels.AddOne(index, view), extent: 1000);

        Assert.All(x.ToArray(), value => Assert.Equal(1f, value));
    }

    [Fact]
    public void Launch_GivenNoSeed_ShouldRunInAscendingOrder() => Assert.Equal(Enumerable.Range(0, 192), Tickets(seed: null));

    [Fact]
    public void Launch_GivenASeed_ShouldRunInAnotherOrderThatTheSeedDecides()
    {
        int[] one = Tickets(seed: 1);

        Assert.Equal(one, Tickets(seed: 1));
        Assert.NotEqual(one, Tickets(seed: 2));
        Assert.NotEqual(one, Tickets(seed: null));
        Assert.Equal(Enumerable.Range(0, 192), one.Order());
        Assert.NotEqual(Enumerable.Range(0, 6), GroupsInOrder(one));
        Assert.Equal(Enumerable.Range(0, 6), GroupsInOrder(one).Order());
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Warp_GivenItsBarriers_ShouldSeeWhatItsLanesWrote(int? seed, bool useSystemThreads)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed, UseSystemThreads = useSystemThreads });
        SimulatedBuffer<int> y = accelerator.Allocate<int>(64);

        LaunchReport report = accelerator.Launch(SoundKernels.WarpRelay, new KernelConfig(1, 64), y.View);

        Assert.Equal(Enumerable.Range(0, 64).Select(i => (i & 32) + ((i + 1) & 31)), y.ToArray());
        Assert.Equal(4, report.WarpBarriers);
    }

    [Fact]
    public void Host_GivenAView_ShouldNotReadThroughIt()
    {
        using SimulatedAccelerator accelerator = new();
        ArrayView<float> view = accelerator.Allocate(new float[4]).View;

        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() => view[0]);

        Assert.Contains("host", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Buffer_GivenStretches_ShouldCopyAndClearThem()
    {
        using SimulatedAccelerator accelerator = new();
        SimulatedBuffer<int> x = accelerator.Allocate([1, 2, 3, 4, 5]);
        SimulatedBuffer<int> y = accelerator.Allocate([9, 9, 9, 9]);

        y.CopyFrom(x, sourceOffset: 2, offset: 1, count: 2);
        y.Clear(0, 1);

        Assert.Equal([0, 3, 4, 9], y.ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => y.Clear(3, 2));
    }

    /// <summary>The groups in the order in which they took their first ticket.</summary>
    private static IEnumerable<int> GroupsInOrder(int[] tickets) => Enumerable.Range(0, 6).OrderBy(group => tickets.Skip(group * 32).Take(32).Min());

    private static int[] Tickets(int? seed)
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { Seed = seed });
        SimulatedBuffer<int> tickets = accelerator.Allocate<int>(192);
        accelerator.Launch(SoundKernels.Tickets, new KernelConfig(6, 32), accelerator.Allocate(new int[1]).View, tickets.View);
        return tickets.ToArray();
    }

    private static float[] Numbers(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)random.Next(-9, 10))];
    }
}
