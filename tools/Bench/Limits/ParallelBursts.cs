using System.Diagnostics;

namespace PureQLora.Tools.Bench;

/// <summary>
/// The rate of work that stays within a core: all threads run many bursts of under a millisecond side by side, and the best bursts
/// of the threads are added. Long runs would measure the neighbours on a shared machine instead.
/// </summary>
internal static class ParallelBursts
{
    /// <summary>Units a second of all threads together.</summary>
    /// <param name="threads">Threads at once.</param>
    /// <param name="bursts">Bursts of each.</param>
    /// <param name="units">Units of one burst.</param>
    /// <param name="burst">The work.</param>
    public static double Measure(int threads, int bursts, double units, Action burst)
    {
        double[] rates = new double[threads];
        Thread[] workers = new Thread[threads];
        for (int i = 0; i < workers.Length; i++)
        {
            int index = i;
            workers[i] = new Thread(() =>
            {
                for (int done = 0; done < bursts; done++)
                {
                    long began = Stopwatch.GetTimestamp();
                    burst();
                    rates[index] = Math.Max(rates[index], units / Stopwatch.GetElapsedTime(began).TotalSeconds);
                }
            });
            workers[i].Start();
        }

        foreach (Thread worker in workers)
        {
            worker.Join();
        }

        return rates.Sum();
    }
}
