using PureQLora.Core;

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

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public void Validate()
    {
        Require(Limit is null or >= 1, "data.limit", Limit ?? 0, "1 or more; leave it out to take all");
        Require(MaxLength is >= 2 and <= 1 << 20, "data.maxLength", MaxLength, "2 to 1048576; 512 is usual");
        Require(PackedLength is null or (>= 2 and <= 1 << 20), "data.packedLength", PackedLength ?? 0, "2 to 1048576; leave it out to keep samples apart");
        Require(WordProblems.NewProblems is >= 0 and <= 10_000_000, "data.wordProblems.newProblems", WordProblems.NewProblems, "0 to 10000000");
        Require(WordProblems.OldProblems is >= 0 and <= 10_000_000, "data.wordProblems.oldProblems", WordProblems.OldProblems, "0 to 10000000");
        if (Train is null && WordProblems.NewProblems + (long)WordProblems.OldProblems == 0)
        {
            throw new UserErrorException("There is nothing to train on; name a file with data.train (--data), or set data.wordProblems.newProblems above 0.");
        }
    }

    private static void Require(bool fulfilled, string key, int value, string allowed)
    {
        if (!fulfilled)
        {
            throw new UserErrorException($"{key} is {value}, allowed {allowed}.");
        }
    }
}
