namespace PureQLora.Training;

/// <summary>What is trained on.</summary>
public sealed record DataRecipe
{
    /// <summary>JSONL, JSON or text file; null takes <see cref="WordProblems"/>.</summary>
    public string? Train { get; init; }

    /// <summary>Problems that the program makes itself.</summary>
    public WordProblemsRecipe WordProblems { get; init; } = new();

    /// <summary>What the records hold; told by their fields unless set.</summary>
    public DataFormat Format { get; init; } = DataFormat.Auto;

    /// <summary>Records taken from the file, the first ones; null: all.</summary>
    public int? Limit { get; init; }

    /// <summary>Tokens of a sample at most.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Keep the calculator marks <c>&lt;&lt;a+b=c&gt;&gt;</c> of GSM8K solutions.</summary>
    public bool KeepCalculatorMarks { get; init; } = true;

    /// <summary>Supervise completions only.</summary>
    public bool CompletionOnly { get; init; } = true;

    /// <summary>Length of packed rows; null: one sample a row.</summary>
    public int? PackedLength { get; init; }
}
