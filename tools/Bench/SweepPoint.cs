using System.Globalization;
using PureQLora.Core;
using PureQLora.Training;

namespace PureQLora.Tools.Bench;

/// <summary>A measured training step of one size.</summary>
/// <param name="Seq">Tokens of the sequence.</param>
/// <param name="Rank">Rank of the adapters.</param>
/// <param name="Seconds">Of the best step.</param>
/// <param name="Operations">Floating-point operations that the step needs.</param>
/// <param name="Peak">What the processor could do of them in a second.</param>
internal sealed record SweepPoint(int Seq, int Rank, double Seconds, double Operations, double Peak)
{
    /// <summary>The points that a file keeps, one a line; none where there is no file yet.</summary>
    public static IReadOnlyList<SweepPoint> Read(string path) =>
        File.Exists(path) ? [.. File.ReadLines(path).Select((line, index) => Parse(path, line, index + 1))] : [];

    /// <summary>Draws step times over sequence lengths and over ranks, each beside the time that its arithmetic takes at the peak.</summary>
    public static void Draw(string path, IReadOnlyList<SweepPoint> points, TrainingBenchOptions options)
    {
        SvgFile.Write(
            path,
            [
                Curve($"Seconds a step, rank {options.Rank} (faint: the arithmetic at the peak)", "tokens", points.Where(point => point.Rank == options.Rank), point => point.Seq),
                Curve($"Seconds a step, {options.Seq} tokens (faint: the arithmetic at the peak)", "rank", points.Where(point => point.Seq == options.Seq), point => point.Rank),
            ]);
    }

    /// <summary>Adds this point to a file at once, so that nothing measured is lost.</summary>
    public void AppendTo(string? path)
    {
        if (path is not null)
        {
            File.AppendAllText(path, string.Create(CultureInfo.InvariantCulture, $"{Seq},{Rank},{Seconds:R},{Operations:R},{Peak:R}\n"));
        }
    }

    private static ReportCurve Curve(string name, string axis, IEnumerable<SweepPoint> points, Func<SweepPoint, double> size)
    {
        SweepPoint[] ordered = [.. points.OrderBy(size)];
        return new ReportCurve(name, [.. ordered.Select(point => (size(point), point.Seconds))])
        {
            Axis = axis,
            Reference = [.. ordered.Select(point => (size(point), point.Operations / point.Peak))],
        };
    }

    private static SweepPoint Parse(string path, string line, int number)
    {
        string[] fields = line.Split(',');
        return fields.Length == 5
            && int.TryParse(fields[0], CultureInfo.InvariantCulture, out int seq)
            && int.TryParse(fields[1], CultureInfo.InvariantCulture, out int rank)
            && double.TryParse(fields[2], CultureInfo.InvariantCulture, out double seconds)
            && double.TryParse(fields[3], CultureInfo.InvariantCulture, out double operations)
            && double.TryParse(fields[4], CultureInfo.InvariantCulture, out double peak)
            ? new SweepPoint(seq, rank, seconds, operations, peak)
            : throw new UserErrorException($"Line {number} of {path} is no point of a sweep (tokens,rank,seconds,operations,peak). Name another file for --table.");
    }
}
