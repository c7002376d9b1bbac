using System.Globalization;
using System.Text;

namespace PureQLora.Training;

/// <summary>A line chart as inline SVG, coloured by the page's style sheet.</summary>
internal static class SvgChart
{
    /// <summary>Width of a chart, in its own units.</summary>
    public const int Width = 720;

    /// <summary>Height of a chart.</summary>
    public const int Height = 260;

    private const int Left = 72;
    private const int Right = 16;
    private const int Top = 12;
    private const int Bottom = 36;
    private const int MaxPoints = 1000;
    private const int ShortestSmoothed = 30;

    /// <summary>Draws a curve; over a noisy one that is long enough goes its running mean.</summary>
    public static string Render(ReportCurve curve)
    {
        (double Step, double Value)[] finite = [.. curve.Points.Where(IsFinite)];
        if (finite.Length == 0)
        {
            return "<p class=\"empty\">No values.</p>";
        }

        double[] xTicks = Ticks(finite.Min(p => p.Step), finite.Max(p => p.Step), 8);
        (double Step, double Value)[] shown = [.. finite, .. curve.Reference.Where(IsFinite)];
        double[] yTicks = Ticks(shown.Min(p => p.Value), shown.Max(p => p.Value), 6);

        // Values get a margin up to the next round number, steps do not: the curve ends where the run ends.
        (double first, double last) = (finite.Min(p => p.Step), finite.Max(p => p.Step));
        (first, last) = first < last ? (first, last) : (xTicks[0], xTicks[^1]);
        double X(double step) => Left + ((step - first) / (last - first) * (Width - Left - Right));
        double Y(double value) => Height - Bottom - ((value - yTicks[0]) / (yTicks[^1] - yTicks[0]) * (Height - Top - Bottom));
        StringBuilder svg = new();
        svg.Append(Invariant, $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{HtmlText.Encode(curve.Name)}\">");
        foreach (double tick in yTicks)
        {
            svg.Append(Invariant, $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(tick):0.#}\" y2=\"{Y(tick):0.#}\"/><text x=\"{Left - 8}\" y=\"{Y(tick) + 4:0.#}\" text-anchor=\"end\">{Label(tick, yTicks)}</text>");
        }

        foreach (double tick in xTicks.Where(tick => tick >= first && tick <= last))
        {
            svg.Append(Invariant, $"<line class=\"grid\" x1=\"{X(tick):0.#}\" x2=\"{X(tick):0.#}\" y1=\"{Top}\" y2=\"{Height - Bottom}\"/><text x=\"{X(tick):0.#}\" y=\"{Height - Bottom + 16}\" text-anchor=\"middle\">{Label(tick, xTicks)}</text>");
        }

        svg.Append(Invariant, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 4}\" text-anchor=\"middle\">{HtmlText.Encode(curve.Axis)}</text>");
        bool smooth = curve.Noisy && finite.Length >= ShortestSmoothed;
        AppendLine(svg, smooth ? "raw" : "line", Thin(curve.Points), X, Y);
        if (smooth)
        {
            AppendLine(svg, "line", Thin(RunningMean(finite)), X, Y);
        }

        if (curve.Reference.Count > 0)
        {
            AppendLine(svg, "raw", Thin(curve.Reference), X, Y);
        }

        return svg.Append("</svg>").ToString();
    }

    /// <summary>Round numbers (1, 2 or 5 times a power of ten) that enclose a range.</summary>
    internal static double[] Ticks(double least, double most, int about)
    {
        // A flat curve, or one whose range vanishes in rounding, still gets an axis around it.
        double range = most - least;
        if (!(range > Math.Abs(most) * 1e-9) || !double.IsFinite(range))
        {
            double half = least == 0 ? 1 : Math.Min(Math.Abs(least), double.MaxValue / 4) / 2;
            return [Math.Clamp(least, -double.MaxValue / 4, double.MaxValue / 4) - half, Math.Clamp(most, -double.MaxValue / 4, double.MaxValue / 4) + half];
        }

        double rough = range / about;
        double power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double unit = power * ((rough / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 });
        if (!(unit > 0))
        {
            return [least, most];
        }

        double first = Math.Floor(least / unit);
        int count = (int)Math.Min(Math.Ceiling(most / unit) - first, 2 * about) + 1;
        return [.. Enumerable.Range(0, count).Select(i => (first + i) * unit)];
    }

    private static CultureInfo Invariant => CultureInfo.InvariantCulture;

    private static bool IsFinite((double Step, double Value) point) => double.IsFinite(point.Step) && double.IsFinite(point.Value);

    private static string Label(double tick, double[] ticks)
    {
        double largest = Math.Max(Math.Abs(ticks[0]), Math.Abs(ticks[^1]));
        double shown = Math.Abs(tick) < largest * 1e-9 ? 0 : tick;
        return largest is >= 1e6 or < 1e-3 && shown != 0 ? shown.ToString("0.##e+0", Invariant) : shown.ToString("0.######", Invariant);
    }

    private static (double Step, double Value)[] RunningMean((double Step, double Value)[] points)
    {
        // Exponential with a memory of about a twentieth of the run, corrected for its start as Adam's moments are.
        double decay = Math.Exp(-20.0 / points.Length);
        double mean = 0;
        double weight = 0;
        return [.. points.Select(point =>
        {
            mean = (decay * mean) + ((1 - decay) * point.Value);
            weight = (decay * weight) + (1 - decay);
            return (point.Step, mean / weight);
        })];
    }

    /// <summary>At most about a thousand points: of every bucket the lowest and the highest, so that no spike is lost.</summary>
    private static IReadOnlyList<(double Step, double Value)> Thin(IReadOnlyList<(double Step, double Value)> points)
    {
        if (points.Count <= MaxPoints)
        {
            return points;
        }

        List<(double Step, double Value)> kept = [];
        foreach ((double Step, double Value)[] bucket in points.Chunk((points.Count * 2 / MaxPoints) + 1))
        {
            (double Step, double Value)[] visible = [.. bucket.Where(IsFinite)];
            if (visible.Length == 0)
            {
                kept.Add(bucket[0]);
                continue;
            }

            (double Step, double Value) low = visible.MinBy(point => point.Value);
            (double Step, double Value) high = visible.MaxBy(point => point.Value);
            kept.AddRange(low.Step <= high.Step ? [low, high] : [high, low]);
        }

        return kept;
    }

    private static void AppendLine(StringBuilder svg, string style, IReadOnlyList<(double Step, double Value)> points, Func<double, double> x, Func<double, double> y)
    {
        StringBuilder path = new();
        bool pen = false;
        foreach ((double Step, double Value) point in points)
        {
            bool visible = IsFinite(point);
            if (visible)
            {
                path.Append(Invariant, $"{(pen ? 'L' : 'M')}{x(point.Step):0.##} {y(point.Value):0.##}");
            }

            pen = visible;
        }

        svg.Append(Invariant, $"<path class=\"{style}\" d=\"{path}\"/>");
    }
}
