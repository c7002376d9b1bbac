using System.Runtime.ExceptionServices;

namespace PureQLora.Core;

/// <summary>A piece of parallel work: items start … end − 1.</summary>
internal interface IParallelRange
{
    /// <summary>Computes the items; may run on any worker.</summary>
    void Run(long start, long end);
}

/// <summary>
/// Threads of the CPU backend. Work is cut into chunks by a grain that the caller derives from the problem alone, so that neither
/// the partition nor any order of summation depends on the number of threads. Workers spin briefly between regions, then park.
/// </summary>
internal sealed unsafe class WorkerPool : IDisposable
{
    /// <summary>
    /// Looks, each some 40 ns after the last, before a worker or a caller sleeps: about 100 µs, more than a step's serial stretches
    /// last. There is no yielding in between: on a busy machine it costs a scheduler slice (4 ms), waking up a few microseconds.
    /// </summary>
    private const int LooksBeforeSleep = 2500;

    /// <summary>The same for a caller that only waits while every processor has a worker: the two would share one.</summary>
    private const int LooksBesideWorkers = 25;

    /// <summary>Bit of <see cref="_inside"/> that keeps workers out of a region that is over.</summary>
    private const int Closed = 1 << 30;

    [ThreadStatic]
    private static WorkerPool? _workerOf;

    private readonly Thread[] _workers;
    private readonly Func<IDisposable>? _prepareWorker;
    private readonly object _parking = new();
    private readonly object _finish = new();
    private readonly object _callers = new();
    private delegate*<void*, long, long, void> _body;
    private void* _state;
    private long _count;
    private long _grain;
    private long _next;
    private int _inside;
    private int _region;
    private int _regionThread;
    private int _generation;
    private int _parked;
    private int _started;
    private volatile bool _callerSleeps;
    private volatile bool _stopping;
    private Exception? _failure;

    /// <summary>Starts the workers.</summary>
    /// <param name="threads">Threads that compute at once; at least 1.</param>
    /// <param name="callerComputes">True: the caller is one of them. False: it only waits, and every body runs on a worker.</param>
    /// <param name="prepareWorker">Runs on every worker before anything else does; what it gives is disposed there when the worker ends.</param>
    /// <exception cref="Exception">What <paramref name="prepareWorker"/> throws.</exception>
    public WorkerPool(int threads, bool callerComputes = true, Func<IDisposable>? prepareWorker = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Threads = threads;
        CallerComputes = callerComputes;
        _prepareWorker = prepareWorker;
        _inside = Closed;
        _workers = new Thread[callerComputes ? threads - 1 : threads];
        for (int i = 0; i < _workers.Length; i++)
        {
            _workers[i] = new Thread(Work) { IsBackground = true, Name = $"PureQLora worker {i + 1}" };
            _workers[i].Start();
        }

        if (prepareWorker is not null)
        {
            AwaitPreparation();
        }
    }

    /// <summary>Threads that compute at once.</summary>
    public int Threads { get; }

    /// <summary>Whether bodies may run on the thread that calls <see cref="For"/>.</summary>
    public bool CallerComputes { get; }

    /// <summary>Runs <paramref name="body"/> over 0 … count − 1 in chunks of <paramref name="grain"/> items and waits for all of them.</summary>
    /// <typeparam name="TBody">A struct of pointers and numbers, so that nothing is allocated.</typeparam>
    /// <exception cref="ObjectDisposedException">The pool was disposed.</exception>
    public void For<TBody>(long count, long grain, ref TBody body)
        where TBody : unmanaged, IParallelRange
    {
        if (count <= 0)
        {
            return;
        }

        grain = Math.Max(1, grain);
        ObjectDisposedException.ThrowIf(_stopping, this);
        if (_workerOf == this)
        {
            RunHere(count, grain, ref body);
        }
        else if (!CallerComputes)
        {
            // No body may run on this thread, so that a second caller has to wait for the first.
            lock (_callers)
            {
                ObjectDisposedException.ThrowIf(!TryTakeRegion(), this);
                RunRegion(count, grain, ref body);
            }
        }
        else if (count <= grain || _workers.Length == 0 || !TryTakeRegion())
        {
            // A region inside a region, or a second caller: correct on its own thread, only not faster. No lock instead: it would let
            // the thread that holds it in again, and a nested region would overwrite the state of the outer one.
            RunHere(count, grain, ref body);
        }
        else
        {
            RunRegion(count, grain, ref body);
        }
    }

    /// <summary>Waits for the region that runs, if any, and stops the workers.</summary>
    /// <exception cref="InvalidOperationException">Called by work of this pool, which would wait for itself.</exception>
    public void Dispose()
    {
        if (_workerOf == this || (Volatile.Read(ref _region) != 0 && Volatile.Read(ref _regionThread) == Environment.CurrentManagedThreadId))
        {
            throw new InvalidOperationException("The pool cannot be disposed by the work that it does.");
        }

        // Taken and kept: a worker that left before it had counted itself out would hang the caller of its region.
        SpinWait spin = default;
        while (!_stopping && !TryTakeRegion())
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }

        _stopping = true;
        Wake();
        foreach (Thread worker in _workers)
        {
            worker.Join();
        }
    }

    private static void RunHere<TBody>(long count, long grain, ref TBody body)
        where TBody : unmanaged, IParallelRange
    {
        for (long start = 0; start < count; start += grain)
        {
            body.Run(start, Math.Min(count, start + grain));
        }
    }

    private static void Invoke<TBody>(void* state, long start, long end)
        where TBody : unmanaged, IParallelRange => (*(TBody*)state).Run(start, end);

    private bool TryTakeRegion() => Interlocked.CompareExchange(ref _region, 1, 0) == 0;

    private void RunRegion<TBody>(long count, long grain, ref TBody body)
        where TBody : unmanaged, IParallelRange
    {
        try
        {
            // The struct stays on this stack frame until every worker is done with it.
            fixed (TBody* pointer = &body)
            {
                _state = pointer;
                _body = &Invoke<TBody>;
                (_count, _grain, _failure) = (count, grain, null);
                Volatile.Write(ref _regionThread, Environment.CurrentManagedThreadId);
                Volatile.Write(ref _next, 0);
                Volatile.Write(ref _inside, 0);
                Wake();
                if (CallerComputes)
                {
                    ComputeAndWait();
                }
                else
                {
                    AwaitEnd(Threads < Environment.ProcessorCount ? LooksBeforeSleep : LooksBesideWorkers);
                }
            }

            if (_failure is not null)
            {
                ExceptionDispatchInfo.Throw(_failure);
            }
        }
        finally
        {
            Volatile.Write(ref _regionThread, 0);
            Volatile.Write(ref _region, 0);
        }
    }

    private void ComputeAndWait()
    {
        TakeChunks();

        // Only workers that came in are waited for: on a busy machine one that has not woken yet would hold everybody up.
        Interlocked.Or(ref _inside, Closed);
        AwaitEnd(LooksBeforeSleep);
    }

    /// <summary>Spins briefly, then sleeps, until all chunks are done and the region is closed.</summary>
    private void AwaitEnd(int looksBeforeSleep)
    {
        for (int looks = 0; looks < looksBeforeSleep; looks++)
        {
            if (TryClose())
            {
                return;
            }

            Thread.SpinWait(1);
        }

        lock (_finish)
        {
            _callerSleeps = true;
            Interlocked.MemoryBarrier();
            while (!TryClose())
            {
                Monitor.Wait(_finish);
            }

            _callerSleeps = false;
        }
    }

    /// <summary>Whether the region is over: every chunk was taken, no worker is inside, and none gets in any more.</summary>
    private bool TryClose() =>
        Volatile.Read(ref _inside) == Closed || (Volatile.Read(ref _next) >= _count && Interlocked.CompareExchange(ref _inside, Closed, 0) == 0);

    private void Leave()
    {
        // A full fence: either the caller's last look sees this worker gone, or this worker sees the caller asleep.
        Interlocked.Decrement(ref _inside);
        if (_callerSleeps)
        {
            lock (_finish)
            {
                Monitor.Pulse(_finish);
            }
        }
    }

    /// <summary>Lets the workers look again: there is a region, or the end.</summary>
    private void Wake()
    {
        // A full fence between the two: a worker that parks counts itself first and then looks at the generation once more.
        Interlocked.Increment(ref _generation);
        if (Volatile.Read(ref _parked) > 0)
        {
            lock (_parking)
            {
                Monitor.PulseAll(_parking);
            }
        }
    }

    private void TakeChunks()
    {
        try
        {
            while (true)
            {
                long start = Interlocked.Add(ref _next, _grain) - _grain;
                if (start >= _count)
                {
                    return;
                }

                _body(_state, start, Math.Min(_count, start + _grain));
            }
        }
#pragma warning disable CA1031 // whatever it is, it is thrown again on the caller's thread
        catch (Exception exception)
        {
            Interlocked.CompareExchange(ref _failure, exception, null);
            Volatile.Write(ref _next, long.MaxValue / 2);
        }
#pragma warning restore CA1031
    }

    private void Work()
    {
        _workerOf = this;
        if (_prepareWorker is null)
        {
            TakeRegions();
        }
        else if (Prepare(_prepareWorker) is { } prepared)
        {
            using (prepared)
            {
                TakeRegions();
            }
        }
    }

    private void TakeRegions()
    {
        int seen = 0;
        while (true)
        {
            AwaitGenerationAfter(seen);
            if (_stopping)
            {
                return;
            }

            seen = Volatile.Read(ref _generation);
            if (TryEnter())
            {
                TakeChunks();
                Leave();
            }
        }
    }

    private void AwaitGenerationAfter(int seen)
    {
        for (int looks = 0; looks < LooksBeforeSleep; looks++)
        {
            if (Volatile.Read(ref _generation) != seen)
            {
                return;
            }

            Thread.SpinWait(1);
        }

        lock (_parking)
        {
            Interlocked.Increment(ref _parked);
            while (Volatile.Read(ref _generation) == seen)
            {
                Monitor.Wait(_parking);
            }

            Interlocked.Decrement(ref _parked);
        }
    }

    /// <summary>Joins the open region, if there is one; only then are its fields read.</summary>
    private bool TryEnter()
    {
        int inside = Volatile.Read(ref _inside);
        while ((inside & Closed) == 0)
        {
            int before = Interlocked.CompareExchange(ref _inside, inside + 1, inside);
            if (before == inside)
            {
                return true;
            }

            inside = before;
        }

        return false;
    }

    private IDisposable? Prepare(Func<IDisposable> prepareWorker)
    {
#pragma warning disable CA1031 // whatever it is, it is thrown again on the thread that makes the pool
        try
        {
            return prepareWorker();
        }
        catch (Exception exception)
        {
            Interlocked.CompareExchange(ref _failure, exception, null);
            return null;
        }
#pragma warning restore CA1031
        finally
        {
            lock (_finish)
            {
                _started++;
                Monitor.Pulse(_finish);
            }
        }
    }

    private void AwaitPreparation()
    {
        lock (_finish)
        {
            while (_started < _workers.Length)
            {
                Monitor.Wait(_finish);
            }
        }

        if (_failure is { } failure)
        {
            Dispose();
            ExceptionDispatchInfo.Throw(failure);
        }
    }
}
