using System.Runtime;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>
/// Programs that embed the engine, in one process: each makes a backend, lets one or two threads work on it, and disposes it;
/// meanwhile one thread collects garbage and one moves the threads between processors.
/// </summary>
/// <param name="references">Units and their results.</param>
/// <param name="seed">Chooses what happens; not when.</param>
/// <param name="tally">Counts.</param>
internal sealed class StressRun(IReadOnlyList<StressReference> references, int seed, StressTally tally)
{
    private const int Programs = 3;
    private const int MostThreads = 4;
    private const int MostUnits = 4;
    private const int LongestPause = 40;

    /// <summary>Units take seconds; what is not over by then hangs.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Runs for a time.</summary>
    /// <param name="time">After it, no unit is begun.</param>
    /// <param name="affinity">Moves threads; null leaves them alone.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    public void Run(TimeSpan time, ProcessorAffinity? affinity, CancellationToken cancellationToken)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        CancellationToken stop = end.Token;
        List<Thread> threads = [.. Enumerable.Range(0, Programs).Select(i => Start($"program {i}", () => RunProgram(new Random(seed + i), stop)))];
        threads.Add(Start("collections", () => Disturb(new Random(seed + Programs), Collect, stop)));
        if (affinity is not null)
        {
            threads.Add(Start("affinity", () => Disturb(new Random(seed + Programs + 1), random => Move(affinity, random), stop)));
        }

        ShowProgress(time, stop);
        end.Cancel();
        long last = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        foreach (Thread thread in threads.Where(thread => !thread.Join((int)Math.Max(0, last - Environment.TickCount64))))
        {
            tally.Failure($"The thread '{thread.Name}' was still busy {Patience.TotalMinutes:F0} minutes after the end.");
        }
    }

    private static Thread Start(string name, Action action)
    {
        Thread thread = new(() => action()) { Name = name, IsBackground = true };
        thread.Start();
        return thread;
    }

    private static void Disturb(Random random, Action<Random> action, CancellationToken stop)
    {
        while (!stop.WaitHandle.WaitOne(random.Next(LongestPause)))
        {
            action(random);
        }
    }

    private void RunProgram(Random random, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            CpuTier tier = references[random.Next(references.Count)].Tier;
            using CpuBackend backend = new(random.Next(1, MostThreads + 1), tier);
            Random other = new(random.Next());
            Thread? second = random.Next(2) == 0 ? Start("second caller", () => RunUnits(backend, other, stop)) : null;
            RunUnits(backend, random, stop);
            second?.Join();
            tally.Backend();
        }
    }

    private void RunUnits(CpuBackend backend, Random random, CancellationToken stop)
    {
        StressReference[] choice = [.. references.Where(reference => reference.Tier == backend.Tier)];
        for (int left = random.Next(1, MostUnits + 1); left > 0 && !stop.IsCancellationRequested; left--)
        {
            choice[random.Next(choice.Length)].Check(backend, random, tally);
        }
    }

    private void Collect(Random random)
    {
        switch (random.Next(4))
        {
            case 0:
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                break;
            case 1:
                GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
                GC.WaitForPendingFinalizers();
                break;
            case 2:
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: false);
                break;
            default:
                GC.Collect(random.Next(GC.MaxGeneration));
                break;
        }

        tally.Collection();
    }

    private void Move(ProcessorAffinity affinity, Random random)
    {
        affinity.Change(random);
        tally.Move();
    }

    private void ShowProgress(TimeSpan time, CancellationToken stop)
    {
        long began = Environment.TickCount64;
        for (int minute = 1; ; minute++)
        {
            double left = time.TotalMilliseconds - (Environment.TickCount64 - began);
            if (stop.WaitHandle.WaitOne((int)Math.Clamp(left, 0, 60_000)) || left <= 60_000)
            {
                return;
            }

            Report.Line($"{minute,4} min {tally.Units,8} units, {tally.Failures.Count} mismatches");
        }
    }
}
