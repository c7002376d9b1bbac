namespace PureQLora.Training;

/// <summary>A table of a report; the first column names the row, the others are numbers or short texts.</summary>
/// <param name="Heading">Above the table.</param>
/// <param name="Columns">Their headings.</param>
/// <param name="Rows">As many cells as columns each.</param>
public sealed record ReportTable(string Heading, IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows);
