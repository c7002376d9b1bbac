namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>Workers without work. Only the worker that runs touches the pool, so it needs no lock.</summary>
internal sealed class WorkerPool : IDisposable
{
    // Simulated kernels have shallow stacks; a thousand threads should not take a gigabyte of addresses.
    private const int StackBytes = 256 * 1024;

    private readonly Stack<Worker> _free = new();

    /// <summary>The thread that launches kernels; it lends its stack too, but waits for the end of the group when it has nothing to run.</summary>
    public Worker Launcher { get; } = new();

    /// <summary>A worker, a new one if need be.</summary>
    public Worker Rent() => _free.TryPop(out Worker? worker) ? worker : Worker.Start(StackBytes);

    /// <summary>Takes a worker back.</summary>
    public void Return(Worker worker) => _free.Push(worker);

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_free.TryPop(out Worker? worker))
        {
            worker.Dispose();
        }

        Launcher.Dispose();
    }
}
