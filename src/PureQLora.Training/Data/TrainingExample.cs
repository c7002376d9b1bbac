namespace PureQLora.Training;

/// <summary>A sample before it is tokenised.</summary>
/// <param name="Location">File and line, for messages.</param>
public abstract record TrainingExample(string Location);
