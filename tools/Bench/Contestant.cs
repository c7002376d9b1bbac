using System.Diagnostics;

namespace PureQLora.Tools.Bench;

/// <summary>One side of a comparison.</summary>
/// <param name="Name">What lines call it.</param>
/// <param name="Run">Does the work once and gives its seconds.</param>
internal sealed record Contestant(string Name, Func<double> Run)
{
    private const int Rest = 50;

    /// <summary>Seconds of each turn so far.</summary>
    public List<double> Seconds { get; } = [];

    /// <summary>The shortest turn: what the machine can do undisturbed.</summary>
    public double Best => Seconds.Min();

    /// <summary>The middle turn.</summary>
    public double Median => Seconds.Order().ElementAt(Seconds.Count / 2);

    /// <summary>One whose time is taken here.</summary>
    public static Contestant Timed(string name, Action run) => new(name, () =>
    {
        long began = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    });

    /// <summary>Lets all do the work in turns (A B A B), so that what else the machine does strikes all of them; the first turn of each does not count.</summary>
    /// <param name="turns">Turns of each that count.</param>
    /// <param name="contestants">At least one.</param>
    /// <param name="cancellation">Checked between turns.</param>
    public static void Compete(int turns, IReadOnlyList<Contestant> contestants, CancellationToken cancellation)
    {
        for (int turn = 0; turn <= turns; turn++)
        {
            foreach (Contestant contestant in contestants)
            {
                cancellation.ThrowIfCancellationRequested();

                // Threads that still spin for the next piece of work, as those of OpenBLAS do for 30 ms, go to sleep meanwhile.
                Thread.Sleep(contestants.Count > 1 ? Rest : 0);
                double seconds = contestant.Run();
                if (turn > 0)
                {
                    contestant.Seconds.Add(seconds);
                }
            }
        }
    }
}
