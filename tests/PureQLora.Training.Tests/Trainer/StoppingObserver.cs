namespace PureQLora.Training.Tests;

/// <summary>Cancels a run, or does something else to it, when a piece of work has come so far.</summary>
internal sealed class StoppingObserver(string title, double at, CancellationTokenSource stop, Action? instead = null) : IRunObserver
{
    public T Track<T>(string name, double total, Func<RunProgress, T> work) => work((done, _) =>
    {
        if (name != title || done != at)
        {
            return;
        }

        if (instead is null)
        {
            stop.Cancel();
        }
        else
        {
            instead();
        }
    });
}
