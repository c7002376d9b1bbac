namespace PureQLora.Training;

/// <summary>All that <c>report.html</c> shows of a run.</summary>
public sealed record RunReport
{
    /// <summary>Heading, for example the name of the run.</summary>
    public required string Title { get; init; }

    /// <summary>Facts shown under the heading, in order: model, device, duration…</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Facts { get; init; } = [];

    /// <summary>Exact match by stage and task, in the order of the rows and columns.</summary>
    public IReadOnlyList<ReportScore> Scores { get; init; } = [];

    /// <summary>Loss, learning rate and other curves.</summary>
    public IReadOnlyList<ReportCurve> Curves { get; init; } = [];

    /// <summary>Other tables, each under its heading.</summary>
    public IReadOnlyList<ReportTable> Tables { get; init; } = [];

    /// <summary>Memory by use.</summary>
    public IReadOnlyList<ReportMemory> Memory { get; init; } = [];

    /// <summary>Questions with answers before and after.</summary>
    public IReadOnlyList<ReportSample> Samples { get; init; } = [];

    /// <summary>The resolved recipe as text, or null.</summary>
    public string? Recipe { get; init; }
}
