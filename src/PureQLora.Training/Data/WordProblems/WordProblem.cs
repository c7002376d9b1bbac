namespace PureQLora.Training;

/// <summary>A generated word problem.</summary>
/// <param name="Family">Its kind.</param>
/// <param name="Question">The problem.</param>
/// <param name="Answer">The solution in GSM8K's form: one step a line with calculator marks, then <c>#### n</c>.</param>
public sealed record WordProblem(ProblemFamily Family, string Question, string Answer)
{
    /// <summary>The same as a GSM8K record.</summary>
    public GsmProblem ToGsmProblem() => new(Question, Answer);

    /// <summary>The part that the text of the question falls into.</summary>
    public ProblemSplit Split => SplitOf(Question);

    /// <summary>The part that a question falls into, told by its text without white space and case.</summary>
    public static ProblemSplit SplitOf(string question)
    {
        // FNV-1a, then one round of the generator to spread its low bits.
        ulong hash = 14695981039346656037;
        foreach (char c in NormalizedText.Of(question))
        {
            hash = (hash ^ c) * 1099511628211;
        }

        return new SplitMix64(hash).NextBelow(10) == 0 ? ProblemSplit.Test : ProblemSplit.Training;
    }
}
