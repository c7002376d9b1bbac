namespace PureQLora.Training;

/// <summary>A curve over the optimizer steps.</summary>
/// <param name="Name">Heading of its chart.</param>
/// <param name="Points">Step and value; values that are not finite leave a gap.</param>
/// <param name="Noisy">Whether a running mean goes over the raw line, as for a loss.</param>
public sealed record ReportCurve(string Name, IReadOnlyList<(double Step, double Value)> Points, bool Noisy = false);
