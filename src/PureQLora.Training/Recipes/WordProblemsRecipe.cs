namespace PureQLora.Training;

/// <summary>Problems that the program makes itself.</summary>
public sealed record WordProblemsRecipe
{
    /// <summary>Problems of the new family to train on.</summary>
    public int NewProblems { get; init; } = 2000;

    /// <summary>Problems of the old families mixed in, so that they are not forgotten.</summary>
    public int OldProblems { get; init; } = 500;

    /// <summary>Chooses the problems.</summary>
    public ulong Seed { get; init; } = 1;
}
