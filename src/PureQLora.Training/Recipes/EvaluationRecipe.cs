using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>What is measured before and after training.</summary>
public sealed record EvaluationRecipe
{
    /// <summary>Off trains only.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>GSM8K-style JSONL with problems that are not trained on; null with a data file: no exact match is measured.</summary>
    public string? File { get; init; }

    /// <summary>Problems measured; with the embedded problems, of the new family and of the old ones each.</summary>
    public int Limit { get; init; } = 200;

    /// <summary>Rule that extracts the answer: strict, flexible, openai or metamath.</summary>
    public string Rule { get; init; } = "strict";

    /// <summary>Sequences generated together.</summary>
    public int BatchSize { get; init; } = 50;

    /// <summary>Tokens of an answer at most.</summary>
    public int MaxNewTokens { get; init; } = 256;

    /// <summary>The same as the evaluator takes it.</summary>
    /// <param name="precision">Rounding of the operands of matrix products.</param>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public EvaluationOptions ToOptions(Precision precision)
    {
        if (Limit < 1)
        {
            throw new UserErrorException($"evaluation.limit is {Limit}, allowed 1 or more; 200 problems give a standard error of about 3 %.");
        }

        EvaluationOptions options = new()
        {
            Rule = AnswerScorer.ParseRule(Rule),
            BatchSize = BatchSize,
            MaxNewTokens = MaxNewTokens,
            Precision = precision,
        };
        options.Validate();
        return options;
    }
}
