using System.Runtime.InteropServices;
using ILGPU;
using PureQLora.Kernels.Simulation.Coroutines;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>
/// A group of threads, of which one runs at any moment: the first in the group's order of those that can. Most threads are started, run and
/// ended on the stack of the one before; a thread needs a stack of its own from when it first waits for others.
/// </summary>
internal sealed class GroupRun : IDisposable
{
    private readonly SimulatedThread[] _threads;
    private readonly SimulatedThread[] _order;
    private readonly uint[] _ready;
    private readonly nint _stacks;
    private int _unfinished;
    private bool _isAborted;

    /// <summary>The threads of a launch's groups, which run one after the other.</summary>
    public GroupRun(Launch launch)
    {
        Launch = launch;
        Size = launch.Config.GroupDim.Size;
        Warps = new WarpRun[(Size + WarpRun.Size - 1) / WarpRun.Size];
        for (int i = 0; i < Warps.Length; i++)
        {
            Warps[i] = new WarpRun(i, Math.Min(WarpRun.Size, Size - (i * WarpRun.Size)));
        }

        _threads = new SimulatedThread[Size];
        for (int i = 0; i < Size; i++)
        {
            _threads[i] = new SimulatedThread(this, Warps[i / WarpRun.Size], i, launch.ThreadIndex(i));
        }

        _order = [.. _threads];
        _ready = new uint[Warps.Length];
        Shared = new SharedArrays(launch);
        Meeting = new Meeting(Size);
        _stacks = launch.Program is { } program ? Marshal.AllocHGlobal(Size * program.StackSize) : 0;
    }

    /// <summary>The launch.</summary>
    public Launch Launch { get; }

    /// <summary>Threads.</summary>
    public int Size { get; }

    /// <summary>The warps.</summary>
    public WarpRun[] Warps { get; }

    /// <summary>Where all threads meet.</summary>
    public Meeting Meeting { get; }

    /// <summary>A number that no other group of the accelerator has.</summary>
    public int Serial { get; private set; }

    /// <summary>Place in the grid.</summary>
    public Index3D Index { get; private set; }

    /// <summary>Barriers that the group has passed.</summary>
    public int Epoch { get; private set; }

    /// <summary>The arrays that the threads share.</summary>
    public SharedArrays Shared { get; }

    /// <summary>Runs a group from beginning to end.</summary>
    /// <param name="serial">Its number.</param>
    /// <param name="random">Draws the order of the threads; null for ascending.</param>
    public void Run(int serial, Random? random)
    {
        (Serial, Index, Epoch, _unfinished, _isAborted) = (serial, Launch.GroupIndex(serial), 0, Size, false);
        Meeting.Reset();
        foreach (WarpRun warp in Warps)
        {
            warp.Epoch = 0;
            warp.Meeting.Reset();
        }

        DrawOrder(random);
        foreach (SimulatedThread thread in _threads)
        {
            thread.Begin();
        }

        if (Launch.Program is { } program)
        {
            RunCoroutines(program);
        }
        else
        {
            Launch.Workers.Launcher.Run(Next()!);
        }

        FlushLogs();
    }

    /// <summary>
    /// The running thread has ended on a worker: what the worker is to run next, null if nothing. The launching thread, for which there is
    /// nothing, waits here for the end of the group.
    /// </summary>
    public SimulatedThread? Ended(Worker worker)
    {
        SimulatedThread.Current.End();
        _unfinished--;
        SimulatedThread? next = Next();
        if (next is { HasStack: false })
        {
            return next;
        }

        Worker launcher = Launch.Workers.Launcher;
        if (worker == launcher)
        {
            if (next is not null)
            {
                next.Worker!.Wake();
                launcher.Sleep();
            }
        }
        else
        {
            // First into the pool, then let the other one go on: from then on the pool is its.
            Launch.Workers.Return(worker);
            (next?.Worker ?? launcher).Wake();
        }

        return null;
    }

    /// <summary>Lets the running thread wait until <see cref="Release"/>, while others run.</summary>
    public void Wait(SimulatedThread thread)
    {
        SimulatedThread next = Next()!;
        if (next != thread)
        {
            if (next.HasStack)
            {
                next.Worker!.Wake();
            }
            else
            {
                Launch.Workers.Rent().Assign(next);
            }

            thread.Worker!.Sleep();
        }

        if (_isAborted)
        {
            throw new GroupAbortedException();
        }
    }

    /// <summary>Lets those who met go on, after the running thread, which came last.</summary>
    /// <param name="warp">The warp, or null for the whole group.</param>
    /// <param name="last">The running thread.</param>
    /// <param name="ordersMemory">Whether what was written before is seen by all who met.</param>
    public void Release(WarpRun? warp, SimulatedThread last, bool ordersMemory)
    {
        int first = warp is null ? 0 : warp.Index * WarpRun.Size;
        int count = warp is null ? Size : warp.Lanes;
        foreach (SimulatedThread thread in _threads.AsSpan(first, count))
        {
            if (thread != last)
            {
                MakeReady(thread);
            }
        }

        if (warp is null)
        {
            Epoch++;
            FlushLogs();
            return;
        }

        warp.Epoch += ordersMemory ? 1 : 0;
        warp.Log.Flush(Launch.Counters);
    }

    /// <summary>Ends the group: threads that wait are unwound, others not begun.</summary>
    public void Abort()
    {
        _isAborted = true;
        Array.Clear(_ready);
        foreach (SimulatedThread thread in _threads)
        {
            if (thread.State == ThreadState.NotStarted)
            {
                thread.End();
                _unfinished--;
            }
            else if (thread.State == ThreadState.Waiting || (thread.State == ThreadState.Ready && thread != SimulatedThread.Current))
            {
                MakeReady(thread);
            }
        }
    }

    /// <summary>Gives shared memory and stacks back.</summary>
    public void Dispose()
    {
        Shared.Free();
        Marshal.FreeHGlobal(_stacks);
    }

    private void RunCoroutines(CoroutineProgram program)
    {
        for (SimulatedThread? thread = Next(); thread is not null; thread = Next())
        {
            nint stack = _stacks + ((nint)thread.LinearIndex * program.StackSize);
            if (_isAborted || thread.Run(program, stack))
            {
                thread.End();
                _unfinished--;
            }
        }

        SimulatedThread.Leave();
    }

    private void MakeReady(SimulatedThread thread)
    {
        thread.State = ThreadState.Ready;
        _ready[thread.Position / WarpRun.Size] |= 1u << (thread.Position % WarpRun.Size);
    }

    /// <summary>Takes the thread that is to run now; null if all have ended.</summary>
    private SimulatedThread? Next()
    {
        if (_ready.AsSpan().IndexOfAnyExcept(0u) < 0 && _unfinished > 0)
        {
            Divergence.Report(this, _threads);
            Abort();
        }

        int word = _ready.AsSpan().IndexOfAnyExcept(0u);
        if (word < 0)
        {
            return null;
        }

        int bit = System.Numerics.BitOperations.TrailingZeroCount(_ready[word]);
        _ready[word] &= _ready[word] - 1;
        return _order[(word * WarpRun.Size) + bit];
    }

    private void FlushLogs()
    {
        foreach (WarpRun warp in Warps)
        {
            warp.Log.Flush(Launch.Counters);
        }
    }

    /// <summary>Mixes the warps, and the lanes within each; the last warp stays where it is, since it may not be full.</summary>
    private void DrawOrder(Random? random)
    {
        if (random is not null)
        {
            int full = Size / WarpRun.Size;
            int[] warps = [.. Enumerable.Range(0, Warps.Length)];
            random.Shuffle(warps.AsSpan(0, full));
            for (int i = 0; i < warps.Length; i++)
            {
                int count = Warps[warps[i]].Lanes;
                Span<SimulatedThread> lanes = _order.AsSpan(i * WarpRun.Size, count);
                _threads.AsSpan(warps[i] * WarpRun.Size, count).CopyTo(lanes);
                random.Shuffle(lanes);
            }
        }

        Array.Clear(_ready);
        for (int i = 0; i < Size; i++)
        {
            _order[i].Position = i;
            _ready[i / WarpRun.Size] |= 1u << (i % WarpRun.Size);
        }
    }
}
