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
    private const int SpinsBeforeParking = 2000;

    /// <summary>Bit of <see cref="_inside"/> that keeps workers out of a region that is over.</summary>
    private const int Closed = 1 << 30;

    private readonly Thread[] _workers;
    private readonly object _parking = new();
    private delegate*<void*, long, long, void> _body;
    private void* _state;
    private long _count;
    private long _grain;
    private long _next;
    private int _inside;
    private int _region;
    private int _generation;
    private volatile bool _stopping;
    private Exception? _failure;

    /// <summary>Starts the workers.</summary>
    /// <param name="threads">Threads that compute at once, the caller's included; at least 1.</param>
    public WorkerPool(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Threads = threads;
        _inside = Closed;
        _workers = new Thread[threads - 1];
        for (int i = 0; i < _workers.Length; i++)
        {
            _workers[i] = new Thread(Work) { IsBackground = true, Name = $"PureQLora worker {i + 1}" };
            _workers[i].Start();
        }
    }

    /// <summary>Threads that compute at once.</summary>
    public int Threads { get; }

    /// <summary>Runs <paramref name="body"/> over 0 … count − 1 in chunks of <paramref name="grain"/> items and waits for all of them.</summary>
    /// <typeparam name="TBody">A struct of pointers and numbers, so that nothing is allocated.</typeparam>
    public void For<TBody>(long count, long grain, ref TBody body)
        where TBody : unmanaged, IParallelRange
    {
        if (count <= 0)
        {
            return;
        }

        grain = Math.Max(1, grain);

        ObjectDisposedException.ThrowIf(_stopping, this);

        // A region inside a region, or a second caller, runs on its own thread: correct, only not faster. No Lock here: it would let
        // the thread that holds it in again, and a nested region would overwrite the state of the outer one.
        if (count <= grain || _workers.Length == 0 || Interlocked.CompareExchange(ref _region, 1, 0) != 0)
        {
            for (long start = 0; start < count; start += grain)
            {
                body.Run(start, Math.Min(count, start + grain));
            }

            return;
        }

        try
        {
            // The struct stays on this stack frame until every worker is done with it.
            fixed (TBody* pointer = &body)
            {
                RunRegion(pointer, &Invoke<TBody>, count, grain);
            }
        }
        finally
        {
            Volatile.Write(ref _region, 0);
        }
    }

    /// <summary>Waits for the region that runs, if any, and stops the workers.</summary>
    public void Dispose()
    {
        // Taken and kept: a worker that left before it had counted itself out would hang the caller of its region.
        SpinWait spin = default;
        while (!_stopping && Interlocked.CompareExchange(ref _region, 1, 0) != 0)
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }

        _stopping = true;
        WakeParked();
        foreach (Thread worker in _workers)
        {
            worker.Join();
        }
    }

    private static void Invoke<TBody>(void* state, long start, long end)
        where TBody : unmanaged, IParallelRange => (*(TBody*)state).Run(start, end);

    private void RunRegion(void* state, delegate*<void*, long, long, void> body, long count, long grain)
    {
        _state = state;
        _body = body;
        (_count, _grain, _failure) = (count, grain, null);
        Volatile.Write(ref _next, 0);
        Volatile.Write(ref _inside, 0);
        Interlocked.Increment(ref _generation);
        WakeParked();
        TakeChunks();

        // Only workers that came in are waited for: on a busy machine one that has not woken yet would hold everybody up.
        Interlocked.Or(ref _inside, Closed);
        SpinWait spin = default;
        while (Volatile.Read(ref _inside) != Closed)
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }

        if (_failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_failure);
        }
    }

    private void WakeParked()
    {
        // Under the lock, so that no worker parks between its look at the generation and this.
        lock (_parking)
        {
            Monitor.PulseAll(_parking);
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
        int seen = 0;
        while (true)
        {
            for (int spins = 0; Volatile.Read(ref _generation) == seen && !_stopping; spins++)
            {
                if (spins < SpinsBeforeParking)
                {
                    Thread.SpinWait(8);
                    continue;
                }

                lock (_parking)
                {
                    while (Volatile.Read(ref _generation) == seen && !_stopping)
                    {
                        Monitor.Wait(_parking);
                    }
                }
            }

            if (_stopping)
            {
                return;
            }

            seen = Volatile.Read(ref _generation);
            if (TryEnter())
            {
                TakeChunks();
                Interlocked.Decrement(ref _inside);
            }
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
}
