using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>How problems are asked and answers scored.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Prompt, stop strings and strict pattern.</summary>
    public EvaluationTask Task { get; init; } = EvaluationTask.Gsm8k;

    /// <summary>Solved problems before each question; 0 is the format of training.</summary>
    public int Shots { get; init; }

    /// <summary>Training split that shots are drawn from.</summary>
    public IReadOnlyList<GsmProblem> ShotProblems { get; init; } = [];

    /// <summary>How answers are taken from texts.</summary>
    public ScoringRule Rule { get; init; } = ScoringRule.Strict;

    /// <summary>Sequences generated together.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Tokens of an answer at most.</summary>
    public int MaxNewTokens { get; init; } = 256;

    /// <summary>Tokens that end an answer besides those of the model's configuration, such as those of generation_config.json.</summary>
    public IReadOnlyList<int> StopIds { get; init; } = [];

    /// <summary>Rounding of the operands of matrix products.</summary>
    public Precision Precision { get; init; }

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public void Validate()
    {
        if (BatchSize is < 1 or > 4096)
        {
            throw new UserErrorException($"The evaluation's batch size is {BatchSize}, allowed 1–4096; 32 is usual.");
        }

        if (MaxNewTokens is < 1 or > 100_000)
        {
            throw new UserErrorException($"The evaluation allows answers of {MaxNewTokens} tokens, allowed 1–100000; 256 is usual.");
        }
    }
}
