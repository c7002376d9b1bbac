namespace PureQLora.Training;

/// <summary>Which end of a sample stays when it is too long.</summary>
public enum TruncationMode
{
    /// <summary>The beginning: prompt and first steps.</summary>
    KeepStart,

    /// <summary>The end: last steps and answer.</summary>
    KeepEnd,
}
