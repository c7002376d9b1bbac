namespace PureQLora.Training;

/// <summary>A curve over the optimizer steps.</summary>
/// <param name="Name">Heading of its chart.</param>
/// <param name="Points">Step and value; values that are not finite leave a gap.</param>
public sealed record ReportCurve(string Name, IReadOnlyList<(double Step, double Value)> Points);
