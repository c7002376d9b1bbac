namespace PureQLora.Training;

/// <summary>A kind of generated word problem. All but <see cref="Earning"/> are what the embedded base model learns.</summary>
public enum ProblemFamily
{
    /// <summary>One addition.</summary>
    Joining,

    /// <summary>One subtraction (or the addition that undoes one).</summary>
    Separating,

    /// <summary>One multiplication.</summary>
    EqualGroups,

    /// <summary>One division without remainder.</summary>
    Sharing,

    /// <summary>More than, fewer than, some times as many as.</summary>
    Comparing,

    /// <summary>Minutes.</summary>
    Timing,

    /// <summary>Dollars put by.</summary>
    Saving,

    /// <summary>Two operations.</summary>
    TwoSteps,

    /// <summary>Three or four operations.</summary>
    ThreeSteps,

    /// <summary>A count that goes up and down three to five times.</summary>
    RunningCount,

    /// <summary>The family to fine-tune on: wages by the hour, spending, tickets, twice as many; two to four operations.</summary>
    Earning,
}
