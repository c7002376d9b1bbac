namespace PureQLora.Training;

/// <summary>A text of which every token is supervised.</summary>
/// <param name="Location">File and line.</param>
/// <param name="Text">The text.</param>
/// <param name="Splittable">Whether a text beyond the maximum length becomes several samples instead of being cut.</param>
public sealed record TextExample(string Location, string Text, bool Splittable = false) : TrainingExample(Location);
