namespace PureQLora.Training;

/// <summary>How a question becomes a prompt; training and evaluation share it, so that they cannot drift apart.</summary>
public sealed record PromptTemplate
{
    /// <summary>What the question replaces in a pattern.</summary>
    public const string Placeholder = "{question}";

    private readonly string _before;
    private readonly string _after;

    /// <summary>Creates a template.</summary>
    /// <param name="pattern">Text with exactly one <see cref="Placeholder"/>.</param>
    /// <param name="targetDelimiter">What stands between a prompt and its answer.</param>
    /// <exception cref="Core.UserErrorException">The pattern does not hold the placeholder exactly once.</exception>
    public PromptTemplate(string pattern, string targetDelimiter = " ")
    {
        string[] parts = pattern.Split(Placeholder);
        if (parts.Length != 2)
        {
            throw new Core.UserErrorException($"The prompt template \"{pattern}\" holds {Placeholder} {parts.Length - 1} times, allowed is once. Put it where the question belongs.");
        }

        (_before, _after) = (parts[0], parts[1]);
        Pattern = pattern;
        TargetDelimiter = targetDelimiter;
    }

    /// <summary><c>Question: …\nAnswer:</c>, the format of the harness' task gsm8k and of our training on GSM8K.</summary>
    public static PromptTemplate Gsm8k { get; } = new("Question: {question}\nAnswer:");

    /// <summary><c>Q: …\nA:</c></summary>
    public static PromptTemplate ChainOfThought { get; } = new("Q: {question}\nA:");

    /// <summary><c>Q: …\nA: Let's think step by step.</c></summary>
    public static PromptTemplate ChainOfThoughtZeroShot { get; } = new("Q: {question}\nA: Let's think step by step.");

    /// <summary>The instruction of the harness' task gsm8k_cot_llama.</summary>
    public static PromptTemplate ChainOfThoughtLlama { get; } = new(
        "Given the following problem, reason and give a final answer to the problem.\nProblem: {question}\n"
        + "Your response should end with \"The final answer is [answer]\" where [answer] is the response to the problem.\n",
        "");

    /// <summary>The instruction format of Stanford Alpaca, which MetaMath trains on.</summary>
    public static PromptTemplate Alpaca { get; } = new(
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        + "### Instruction:\n{question}\n\n### Response:");

    /// <summary>The text with its placeholder.</summary>
    public string Pattern { get; }

    /// <summary>What stands between a prompt and its answer.</summary>
    public string TargetDelimiter { get; }

    /// <summary>The prompt of a question; it ends without the delimiter.</summary>
    public string Render(string question) => string.Concat(_before, question, _after);

    /// <summary>The question in a prompt that <see cref="Render"/> made; any other text as it is.</summary>
    public string QuestionOf(string prompt) =>
        prompt.Length >= _before.Length + _after.Length && prompt.StartsWith(_before, StringComparison.Ordinal) && prompt.EndsWith(_after, StringComparison.Ordinal)
            ? prompt[_before.Length..^_after.Length]
            : prompt;
}
