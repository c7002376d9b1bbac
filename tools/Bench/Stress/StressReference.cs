using System.Diagnostics;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>A unit on a tier, and what it gave on one thread with nothing beside it.</summary>
internal sealed class StressReference
{
    private readonly string[] _lines;
    private TimeSpan _usual;

    /// <summary>Runs the unit on one thread.</summary>
    public StressReference(StressUnit unit, CpuTier tier)
    {
        (Unit, Tier) = (unit, tier);
        long started = Stopwatch.GetTimestamp();
        using CpuBackend backend = new(threads: 1, tier);
        _lines = unit.Run(backend, CancellationToken.None).Lines;
        _usual = Stopwatch.GetElapsedTime(started);
    }

    /// <summary>The work.</summary>
    public StressUnit Unit { get; }

    /// <summary>The instructions.</summary>
    public CpuTier Tier { get; }

    /// <summary>Does the unit once, half of the time with a cancellation somewhere; what was cut off is done again whole.</summary>
    public void Check(CpuBackend backend, Random random, StressTally tally)
    {
        try
        {
            bool whole = random.Next(2) == 0 && Run(backend, _usual * random.NextDouble(), tally);
            if (!whole)
            {
                Run(backend, cancelAfter: null, tally);
            }
        }
#pragma warning disable CA1031 // whatever it is, the run goes on and tells of it
        catch (Exception exception)
        {
            tally.Failure($"{Unit.Kind} on {Tier.Name()}, {backend.Threads} threads: {exception}");
        }
#pragma warning restore CA1031
    }

    private bool Run(CpuBackend backend, TimeSpan? cancelAfter, StressTally tally)
    {
        using CancellationTokenSource source = new();
        if (cancelAfter is { } delay)
        {
            source.CancelAfter(delay);
        }

        long started = Stopwatch.GetTimestamp();
        StressOutcome outcome = Unit.Run(backend, source.Token);
        if (!outcome.Interrupted)
        {
            _usual = Stopwatch.GetElapsedTime(started);
        }

        if (outcome.Agrees(_lines) && (outcome.Complete || source.IsCancellationRequested))
        {
            tally.Unit(Unit.Kind, outcome.Interrupted);
        }
        else
        {
            tally.Failure($"{Unit.Kind} on {Tier.Name()}, {backend.Threads} threads{(outcome.Interrupted ? ", cancelled" : "")}: {Describe(outcome)}");
        }

        return outcome.Complete;
    }

    private string Describe(StressOutcome outcome)
    {
        int line = Enumerable.Range(0, Math.Min(_lines.Length, outcome.Lines.Length)).FirstOrDefault(i => outcome.Lines[i] != _lines[i], -1);
        return line < 0 ? $"{outcome.Lines.Length} lines, the reference has {_lines.Length}" : $"line {line} is {outcome.Lines[line]}, the reference {_lines[line]}";
    }
}
