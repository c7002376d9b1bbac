namespace PureQLora.Training;

/// <summary>Which part of all possible problems a generator gives. A question's own text decides, so the parts never meet, whatever the seeds.</summary>
public enum ProblemSplit
{
    /// <summary>Nine tenths of all texts.</summary>
    Training,

    /// <summary>The other tenth.</summary>
    Test,
}
