using System.Diagnostics.CodeAnalysis;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>
/// A thread of the system that lends its stack to simulated threads: to one until it ends, then to the next. Only one worker of an
/// accelerator runs at any moment.
/// </summary>
internal sealed class Worker : IDisposable
{
    private readonly AutoResetEvent _wake = new(false);
    private SimulatedThread? _assigned;
    private bool _isStopped;

    /// <summary>Starts a thread of the system that waits for work.</summary>
    public static Worker Start(int stackBytes)
    {
        Worker worker = new();
        new Thread(worker.Loop, stackBytes) { IsBackground = true, Name = "Simulated GPU threads" }.Start();
        return worker;
    }

    /// <summary>Lets the worker run a thread.</summary>
    public void Assign(SimulatedThread thread)
    {
        _assigned = thread;
        _wake.Set();
    }

    /// <summary>Lets the worker go on.</summary>
    public void Wake() => _wake.Set();

    /// <summary>Waits for <see cref="Wake"/>.</summary>
    public void Sleep() => _wake.WaitOne();

    /// <summary>Runs a thread, and then others of its group for as long as there are any that have no stack yet.</summary>
    public void Run(SimulatedThread first)
    {
        for (SimulatedThread? thread = first; thread is not null; thread = thread.Group.Ended(this))
        {
            Run(thread, thread.Group);
        }

        SimulatedThread.Leave();
    }

    /// <summary>Ends the worker.</summary>
    public void Dispose()
    {
        _isStopped = true;
        _wake.Set();
    }

    [SuppressMessage("Design", "CA1031", Justification = "Whatever a kernel throws becomes a fault of the launch.")]
    private void Run(SimulatedThread thread, GroupRun group)
    {
        thread.Enter(this);
        try
        {
            group.Launch.Body();
        }
        catch (GroupAbortedException)
        {
        }
        catch (Exception exception)
        {
            thread.ReportException(exception);
            group.Abort();
        }
    }

    private void Loop()
    {
        while (true)
        {
            Sleep();
            if (_isStopped)
            {
                return;
            }

            Run(_assigned!);
        }
    }
}
