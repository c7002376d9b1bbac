namespace PureQLora.Training;

/// <summary>A curve over the optimizer steps, or over something else that its axis names.</summary>
/// <param name="Name">Heading of its chart.</param>
/// <param name="Points">Step and value; values that are not finite leave a gap.</param>
/// <param name="Noisy">Whether a running mean goes over the raw line, as for a loss.</param>
public sealed record ReportCurve(string Name, IReadOnlyList<(double Step, double Value)> Points, bool Noisy = false)
{
    /// <summary>What runs along the chart.</summary>
    public string Axis { get; init; } = "step";

    /// <summary>A second line to hold the first against, drawn faintly; its points may not lie outside the first one's steps.</summary>
    public IReadOnlyList<(double Step, double Value)> Reference { get; init; } = [];
}
