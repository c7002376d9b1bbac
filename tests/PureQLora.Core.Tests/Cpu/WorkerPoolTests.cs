namespace PureQLora.Core.Tests;

public sealed unsafe class WorkerPoolTests
{
    [ThreadStatic]
    private static bool IsPrepared;

    private static WorkerPool? NestedPool { get; set; }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(7, true)]
    [InlineData(1, false)]
    [InlineData(3, false)]
    public void For_GivenManyRegions_ShouldRunEveryItemOnce(int threads, bool callerComputes)
    {
        using WorkerPool pool = new(threads, callerComputes);
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
    [InlineData(1, true)]
    [InlineData(3, true)]
    [InlineData(1, false)]
    [InlineData(3, false)]
    public void For_GivenABodyThatThrows_ShouldReachTheCallerAndGoOnWorking(int threads, bool callerComputes)
    {
        using WorkerPool pool = new(threads, callerComputes);
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

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void For_GivenARegionInsideARegion_ShouldRunEveryItemOnce(bool callerComputes)
    {
        using WorkerPool pool = new(3, callerComputes);
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

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void For_GivenTwoCallersAtOnce_ShouldServeBoth(bool callerComputes)
    {
        using WorkerPool pool = new(3, callerComputes);
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

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void For_GivenACallerThatOnlyWaits_ShouldRunEveryBodyOnAPreparedWorker(int threads)
    {
        int preparations = 0;
        int releases = 0;
        using (WorkerPool pool = new(threads, callerComputes: false, () =>
        {
            IsPrepared = true;
            Interlocked.Increment(ref preparations);
            return new Preparation(() => Interlocked.Add(ref releases, IsPrepared ? 1 : 1000));
        }))
        {
            Assert.Equal(threads, preparations);
            byte[] prepared = new byte[64];
            fixed (byte* pointer = prepared)
            {
                // One chunk as well as many.
                PreparedBody body = new(pointer);
                pool.For(64, 64, ref body);
                Assert.All(prepared, item => Assert.Equal(1, item));
                pool.For(64, 1, ref body);
                Assert.All(prepared, item => Assert.Equal(2, item));
            }

            Assert.Equal(0, releases);
        }

        Assert.Equal(threads, releases);
    }

    [Fact]
    public void Pool_GivenAPreparationThatFails_ShouldThrowIt() =>
        Assert.Equal("no stack", Assert.Throws<InvalidOperationException>(() => new WorkerPool(3, callerComputes: false, () => throw new InvalidOperationException("no stack"))).Message);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Dispose_GivenWorkOfThePoolItself_ShouldRefuseInsteadOfWaitingForever(bool callerComputes)
    {
        using WorkerPool pool = new(2, callerComputes);
        NestedPool = pool;
        Assert.Throws<InvalidOperationException>(() =>
        {
            DisposingBody body = default;
            pool.For(10, 1, ref body);
        });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Dispose_GivenManyCallersAtWork_ShouldEndThemAll(bool callerComputes)
    {
        for (int round = 0; round < 20; round++)
        {
            WorkerPool pool = new(3, callerComputes);
            long[] counts = new long[4];
            Thread[] callers = [.. Enumerable.Range(0, 4).Select(i => new Thread(() => counts[i] = CallUntilDisposed(pool)))];
            Array.ForEach(callers, caller => caller.Start());
            Thread.SpinWait(2000 * round);
            pool.Dispose();
            Assert.All(callers, caller => Assert.True(caller.Join(TimeSpan.FromSeconds(60)), "A caller still waits."));
            Assert.All(counts, count => Assert.True(count >= 0, "A region was left half done."));
        }
    }

    /// <summary>Processors come and go, bodies throw, callers compete, workers park and wake: every region is whole.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void For_GivenChangingProcessorsAndManyCallers_ShouldKeepEveryRegionWhole(bool callerComputes)
    {
        using WorkerPool pool = new(4, callerComputes);
        using ProcessorAffinity affinity = new();
        int failures = 0;
        bool[] done = new bool[3];
        Thread[] callers = [.. Enumerable.Range(0, 3).Select(i => new Thread(() =>
        {
            Random random = new(i);
            for (int region = 0; region < 400; region++)
            {
                int count = random.Next(1, 300);
                if (!RunsWhole(pool, count, random.Next(1, 20), bad: region % 7 == 0 ? random.Next(count) : -1))
                {
                    Interlocked.Increment(ref failures);
                }

                if (region % 50 == 0)
                {
                    Thread.Sleep(1);
                }
            }

            done[i] = true;
        }))];
        Array.ForEach(callers, caller => caller.Start());
        for (int change = 0; !Array.TrueForAll(callers, caller => caller.Join(2)); change++)
        {
            Assert.True(change < 30_000, "A region never ended.");
            affinity.Set(change % 3 == 2 ? ~0UL : 1UL << (change % 2));
        }

        Assert.All(done, Assert.True);
        Assert.Equal(0, failures);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void For_GivenManyRegions_ShouldAllocateNothing(bool callerComputes)
    {
        using WorkerPool pool = new(2, callerComputes);
        byte[] items = new byte[64];
        fixed (byte* pointer = items)
        {
            byte* target = pointer;
            Assert.Equal(0, Allocation.Of(() =>
            {
                PreparedBody body = new(target);
                for (int i = 0; i < 100; i++)
                {
                    pool.For(64, 1, ref body);
                }
            }));
        }
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

    /// <summary>Regions that were whole until the pool was disposed; −1 if one was not.</summary>
    private static long CallUntilDisposed(WorkerPool pool)
    {
        for (long region = 0; ; region++)
        {
            try
            {
                if (!RunsWhole(pool, 40, 1, bad: -1))
                {
                    return -1;
                }
            }
            catch (ObjectDisposedException)
            {
                return region;
            }
        }
    }

    /// <summary>Whether every item ran once, or the exception of the bad one arrived and no item ran twice.</summary>
    private static bool RunsWhole(WorkerPool pool, int count, int grain, int bad)
    {
        long* counts = stackalloc long[count];
        new Span<long>(counts, count).Clear();
        CountOrThrowBody body = new(counts, bad);
        try
        {
            pool.For(count, grain, ref body);
            return bad < 0 && !new ReadOnlySpan<long>(counts, count).ContainsAnyExcept(1);
        }
        catch (InvalidOperationException exception) when (exception is not ObjectDisposedException)
        {
            return exception.Message == $"item {bad}" && !new ReadOnlySpan<long>(counts, count).ContainsAnyExceptInRange(0, 1);
        }
    }

    private readonly struct CountOrThrowBody(long* counts, int bad) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                counts[i]++;
                if (i == bad)
                {
                    throw new InvalidOperationException($"item {bad}");
                }
            }
        }
    }

    private readonly struct PreparedBody(byte* items) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                items[i] += IsPrepared ? (byte)1 : (byte)0;
            }
        }
    }

    private readonly struct DisposingBody : IParallelRange
    {
        public void Run(long start, long end) => NestedPool!.Dispose();
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

    /// <summary>What a worker gives back at its end, on its own thread.</summary>
    private sealed class Preparation(Action release) : IDisposable
    {
        public void Dispose() => release();
    }
}
