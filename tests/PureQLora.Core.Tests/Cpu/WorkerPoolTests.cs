namespace PureQLora.Core.Tests;

public sealed unsafe class WorkerPoolTests
{
    private static WorkerPool? NestedPool { get; set; }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void For_GivenManyRegions_ShouldRunEveryItemOnce(int threads)
    {
        using WorkerPool pool = new(threads);
        long[] counts = new long[1000];
        fixed (long* pointer = counts)
        {
            for (int region = 1; region <= 200; region++)
            {
                CountBody body = new(pointer);
                pool.For(1000, 7, ref body);
                Assert.All(counts, count => Assert.Equal(region, count));
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void For_GivenABodyThatThrows_ShouldReachTheCallerAndGoOnWorking(int threads)
    {
        using WorkerPool pool = new(threads);
        for (int i = 0; i < 20; i++)
        {
            int bad = i * 5;
            InvalidOperationException error = Assert.Throws<InvalidOperationException>(() =>
            {
                ThrowingBody body = new(bad);
                pool.For(100, 1, ref body);
            });
            Assert.Equal($"item {bad}", error.Message);
        }

        long[] counts = new long[50];
        fixed (long* pointer = counts)
        {
            CountBody body = new(pointer);
            pool.For(50, 1, ref body);
        }

        Assert.All(counts, count => Assert.Equal(1, count));
    }

    [Fact]
    public void For_GivenARegionInsideARegion_ShouldRunEveryItemOnce()
    {
        using WorkerPool pool = new(3);
        NestedPool = pool;
        long[] counts = new long[40 * 30];
        fixed (long* pointer = counts)
        {
            for (int region = 1; region <= 50; region++)
            {
                NestedBody body = new(pointer);
                pool.For(40, 1, ref body);
                Assert.All(counts, count => Assert.Equal(region, count));
            }
        }
    }

    [Fact]
    public void For_GivenTwoCallersAtOnce_ShouldServeBoth()
    {
        using WorkerPool pool = new(3);
        long[][] counts = [new long[500], new long[500]];
        Thread[] callers = [.. counts.Select(mine => new Thread(() =>
        {
            fixed (long* pointer = mine)
            {
                for (int region = 0; region < 300; region++)
                {
                    CountBody body = new(pointer);
                    pool.For(500, 3, ref body);
                }
            }
        }))];
        Array.ForEach(callers, caller => caller.Start());
        Array.ForEach(callers, caller => caller.Join());
        Assert.All(counts.SelectMany(c => c), count => Assert.Equal(300, count));
    }

    [Fact]
    public void For_GivenADisposedPool_ShouldThrowInsteadOfWaitingForever()
    {
        WorkerPool pool = new(2);
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() =>
        {
            ThrowingBody body = new(-1);
            pool.For(10, 1, ref body);
        });
    }

    private readonly struct CountBody(long* counts) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                counts[i]++;
            }
        }
    }

    private readonly struct NestedBody(long* counts) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                CountBody inner = new(counts + (i * 30));
                NestedPool!.For(30, 1, ref inner);
            }
        }
    }

    private readonly struct ThrowingBody(long bad) : IParallelRange
    {
        public void Run(long start, long end)
        {
            if (bad >= start && bad < end)
            {
                throw new InvalidOperationException($"item {bad}");
            }
        }
    }
}
