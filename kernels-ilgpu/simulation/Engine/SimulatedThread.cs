using System.Diagnostics.CodeAnalysis;
using ILGPU;
using PureQLora.Kernels.Simulation.Coroutines;
using PureQLora.Kernels.Simulation.Memory;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>A thread of a group: its place, its state, and how it meets the others.</summary>
internal sealed partial class SimulatedThread(GroupRun group, WarpRun warp, int linearIndex, Index3D index)
{
    [ThreadStatic]
    private static SimulatedThread? Running;

    private readonly List<MemoryRegion> _locals = [];
    private int _sharedAllocations;
    private int _meetingNumber;
    private bool _comesBack;
    private bool _isLeaving;

    /// <summary>The simulated thread that runs on this thread of the system.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public static SimulatedThread Current =>
        Running ?? throw new InvalidOperationException("Only a kernel that a SimulatedAccelerator has launched can do this; the host copies buffers.");

    /// <summary>Whether there is one.</summary>
    public static bool IsRunning => Running is not null;

    /// <summary>Its group.</summary>
    public GroupRun Group { get; } = group;

    /// <summary>Its warp.</summary>
    public WarpRun Warp { get; } = warp;

    /// <summary>Place in the group, along x first.</summary>
    public int LinearIndex { get; } = linearIndex;

    /// <summary>Place in the group.</summary>
    public Index3D Index { get; } = index;

    /// <summary>Place in the warp.</summary>
    public int Lane => LinearIndex & (WarpRun.Size - 1);

    /// <summary>Place in the order in which the group's threads run.</summary>
    public int Position { get; set; }

    /// <summary>How far it is.</summary>
    public ThreadState State { get; set; }

    /// <summary>Whose stack it is on; null before it begins and after it has ended.</summary>
    public Worker? Worker { get; private set; }

    /// <summary>Whether it has begun and not ended.</summary>
    public bool HasStack => Worker is not null;

    /// <summary>What it waits at.</summary>
    public MeetingKind WaitsAt { get; private set; }

    /// <summary>Where it waits.</summary>
    public int WaitSite { get; private set; }

    /// <summary>No simulated thread runs on this thread of the system any more.</summary>
    public static void Leave() => Running = null;

    /// <summary>
    /// Whether the running thread, in a coroutine, has to leave it until the others have come to the meeting, and then call again the method
    /// that it has just called.
    /// </summary>
    public static bool MustWait()
    {
        SimulatedThread thread = Current;
        thread._isLeaving = false;
        return thread.State == ThreadState.Waiting;
    }

    /// <summary>A new group begins.</summary>
    public void Begin()
    {
        State = ThreadState.NotStarted;
        (_sharedAllocations, _comesBack, _isLeaving) = (0, false, false);
    }

    /// <summary>Runs the thread as a coroutine until it has to wait, or to its end; true if that is reached.</summary>
    [SuppressMessage("Design", "CA1031", Justification = "Whatever a kernel throws becomes a fault of the launch.")]
    public bool Run(CoroutineProgram program, nint stack)
    {
        Running = this;
        if (State == ThreadState.NotStarted)
        {
            program.Begin(stack);
            State = ThreadState.Ready;
        }
        else
        {
            _comesBack = true;
        }

        try
        {
            bool hasEnded = program.Run(stack);
            ThrowIfLeaving();
            return hasEnded;
        }
        catch (Exception exception)
        {
            State = ThreadState.Ready;
            ReportException(exception);
            Group.Abort();
            return true;
        }
    }

    /// <summary>The thread begins, on the stack of a worker.</summary>
    public void Enter(Worker worker)
    {
        (Running, Worker, State) = (this, worker, ThreadState.Ready);
    }

    /// <summary>The thread has left the kernel.</summary>
    public void End()
    {
        (Worker, State) = (null, ThreadState.Ended);
        Copies.Clear();
        _locals.ForEach(region => region.Free());
        _locals.Clear();
    }

    /// <summary>Meets all threads of the group; how many came with true.</summary>
    public int GroupBarrier(MeetingKind kind, bool predicate, string file, int line)
    {
        int number = Meet(Group.Meeting, kind, warp: null, predicate, ordersMemory: true, Site(file, line));
        return Group.Meeting.Agreed(number);
    }

    /// <summary>Meets all threads of the group; the value that one of them gave.</summary>
    public T GroupBroadcast<T>(T value, int source, string file, int line)
        where T : unmanaged
    {
        CheckSource(source, Group.Size);
        LeaveValue(Group.Meeting, LinearIndex, value);
        int number = Meet(Group.Meeting, MeetingKind.GroupBroadcast, warp: null, predicate: false, ordersMemory: true, Site(file, line));
        return Group.Meeting.Values<T>(number)[source];
    }

    /// <summary>Meets the warp.</summary>
    public void WarpBarrier(string file, int line) =>
        Meet(Warp.Meeting, MeetingKind.WarpBarrier, Warp, predicate: false, ordersMemory: true, Site(file, line));

    /// <summary>Meets the warp; the value that one lane gave.</summary>
    public T Shuffle<T>(T value, int source, MeetingKind kind, string file, int line)
        where T : unmanaged
    {
        CheckSource(source, Warp.Lanes);
        return Exchange(value, kind, file, line)[source];
    }

    /// <summary>Meets the warp; the values that all lanes gave.</summary>
    public ReadOnlySpan<T> Exchange<T>(T value, MeetingKind kind, string file, int line)
        where T : unmanaged
    {
        LeaveValue(Warp.Meeting, Lane, value);
        int number = Meet(Warp.Meeting, kind, Warp, predicate: false, ordersMemory: false, Site(file, line));
        return Warp.Meeting.Values<T>(number);
    }

    private static void CheckSource(int source, int count)
    {
        if ((uint)source >= (uint)count)
        {
            throw new InvalidOperationException($"The value of thread {source} is asked for, but there are {count}.");
        }
    }

    private void LeaveValue<T>(Meeting meeting, int member, T value)
        where T : unmanaged
    {
        if (!_comesBack)
        {
            meeting.Leave(member, value);
        }
    }

    /// <summary>Waits until all are there; the meeting's number. A coroutine does not wait here: see <see cref="MustWait"/>.</summary>
    private int Meet(Meeting meeting, MeetingKind kind, WarpRun? warp, bool predicate, bool ordersMemory, int site)
    {
        if (_comesBack)
        {
            _comesBack = false;
            return _meetingNumber;
        }

        ThrowIfLeaving();
        _meetingNumber = meeting.Number;
        if (meeting.Arrive(kind, site, predicate))
        {
            Group.Launch.Counters.CountMeeting(kind);
            Group.Release(warp, this, ordersMemory);
            return _meetingNumber;
        }

        (State, WaitsAt, WaitSite) = (ThreadState.Waiting, kind, site);
        if (Group.Launch.Program is null)
        {
            Group.Wait(this);
        }
        else
        {
            _isLeaving = true;
        }

        return _meetingNumber;
    }

    private void ThrowIfLeaving()
    {
        if (_isLeaving)
        {
            throw new InvalidOperationException(
                $"The kernel waits at {WaitsAt} where it cannot be followed, as in a delegate; launch it with SimulationOptions.UseSystemThreads.");
        }
    }

    private int Site(string file, int line) => Group.Launch.Sites.NumberOf(file, line);
}
