namespace PureQLora.Training;

/// <summary>One row of the table of memory.</summary>
/// <param name="Name">What takes it.</param>
/// <param name="Bytes">How much.</param>
public sealed record ReportMemory(string Name, long Bytes);
