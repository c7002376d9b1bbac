using System.Collections.Concurrent;
using System.Diagnostics;

namespace PureQLora.Tools.Bench;

/// <summary>Counts what a stress run did; any thread may add.</summary>
internal sealed class StressTally
{
    private readonly ConcurrentDictionary<string, int> _done = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> _interrupted = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _failures = new();
    private int _backends;
    private int _collections;
    private int _moves;

    /// <summary>Units that came to their end, or were ended on purpose.</summary>
    public int Units => _done.Values.Sum();

    /// <summary>Units that a cancellation reached.</summary>
    public int Cancellations => _interrupted.Values.Sum();

    /// <summary>Results that were others than the reference, and exceptions; empty where all is well.</summary>
    public IReadOnlyCollection<string> Failures => _failures;

    /// <summary>A unit ended with the result that it had to have.</summary>
    public void Unit(string kind, bool interrupted)
    {
        _done.AddOrUpdate(kind, 1, (_, count) => count + 1);
        _interrupted.AddOrUpdate(kind, interrupted ? 1 : 0, (_, count) => count + (interrupted ? 1 : 0));
    }

    /// <summary>Something is wrong.</summary>
    public void Failure(string sentence) => _failures.Enqueue(sentence);

    /// <summary>A backend was made and disposed.</summary>
    public void Backend() => Interlocked.Increment(ref _backends);

    /// <summary>A collection was forced.</summary>
    public void Collection() => Interlocked.Increment(ref _collections);

    /// <summary>The processors of one or all threads were changed.</summary>
    public void Move() => Interlocked.Increment(ref _moves);

    /// <summary>Prints one line a kind, the totals and every failure.</summary>
    public void Show()
    {
        foreach (string kind in _done.Keys.Order(StringComparer.Ordinal))
        {
            Report.Line($"{kind,-48}{_done[kind],9} done{_interrupted[kind],9} cancelled");
        }

        Report.Line($"{Units} units, {Cancellations} cancelled, {_backends} backends made and disposed");
        Report.Line($"{_collections} forced collections; by generation {GC.CollectionCount(0)}, {GC.CollectionCount(1)}, {GC.CollectionCount(2)} in all; {_moves} affinity changes");
        using (Process process = Process.GetCurrentProcess())
        {
            Report.Line($"{process.TotalProcessorTime.TotalMinutes:F1} minutes of processor time, which is what counts on a busy machine");
        }

        foreach (string failure in _failures)
        {
            Report.Line($"wrong: {failure}");
        }

        Report.Line($"{_failures.Count} mismatches");
    }
}
