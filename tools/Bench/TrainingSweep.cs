using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Step times over sequence lengths and ranks beside what the arithmetic alone would take at the processor's peak.</summary>
internal static class TrainingSweep
{
    private static readonly int[] Lengths = [128, 256, 512, 1024, 2048, 4096];
    private static readonly int[] Ranks = [4, 8, 16, 32, 64, 128, 256];

    /// <summary>Measures all points that a table does not hold yet, and prints them.</summary>
    /// <param name="model">Without adapters.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="options">The sequence of the ranks, the rank of the sequences.</param>
    /// <param name="limits">The machine's.</param>
    /// <param name="steps">Steps of each point, the best of which counts.</param>
    /// <param name="quick">Two lengths and two ranks only.</param>
    /// <param name="table">File that keeps the points, so that a sweep can go on where it was stopped; null for none.</param>
    /// <returns>All points, sequences and then ranks.</returns>
    public static IReadOnlyList<SweepPoint> Run(
        LlamaModel model, CpuBackend backend, TrainingBenchOptions options, MachineLimits limits, int steps, bool quick, string? table)
    {
        int longest = Math.Min(model.Config.MaxPositions, quick ? 256 : int.MaxValue);
        (string name, double peak) = limits.PeakOf(options.Precision);
        Dictionary<(int Seq, int Rank), SweepPoint> known = table is null ? [] : SweepPoint.Read(table).ToDictionary(point => (point.Seq, point.Rank));
        IEnumerable<(int Seq, int Rank)> lengths = Lengths.Where(seq => seq <= longest).Select(seq => (seq, options.Rank));
        IEnumerable<(int Seq, int Rank)> ranks = Ranks.Where(rank => !quick || rank <= 8).Select(rank => (options.Seq, rank));
        (int Seq, int Rank)[] wanted = [.. lengths.Concat(ranks).Distinct()];

        // Compiled and woken once; a whole step more for each point would double the time of the longest.
        Measure(model, backend, options with { Seq = Lengths[0] }, 1, peak);
        Report.Line($"{"seq",6}{"rank",6}{"best s",10}{"tok/s",9}{"TFLOP",9}{"GFLOP/s",9}{"of peak",9}");
        List<SweepPoint> points = [];
        foreach ((int seq, int rank) in wanted)
        {
            if (!known.TryGetValue((seq, rank), out SweepPoint? point))
            {
                point = Measure(model, backend, options with { Seq = seq, Rank = rank }, steps, peak);
                point.AppendTo(table);
            }

            points.Add(point);
            double rate = point.Operations / point.Seconds;
            Report.Line($"{seq,6}{rank,6}{point.Seconds,10:F3}{seq / point.Seconds,9:F1}{point.Operations / 1e12,9:F3}{rate / 1e9,9:F0}{Report.Percent(rate / point.Peak),9}");
        }

        Report.Line($"TFLOP with attention and adapters; {name} is {peak / 1e9:F0} GFLOP/s");
        return points;
    }

    private static SweepPoint Measure(LlamaModel model, CpuBackend backend, TrainingBenchOptions options, int steps, double peak)
    {
        using TrainingSession session = new(model, backend, options);
        double best = double.PositiveInfinity;
        for (int step = 0; step < steps; step++)
        {
            ToolProgram.Cancellation.ThrowIfCancellationRequested();
            best = Math.Min(best, session.Step());
        }

        return new SweepPoint(options.Seq, options.Rank, best, session.Arithmetic.Total, peak);
    }
}
