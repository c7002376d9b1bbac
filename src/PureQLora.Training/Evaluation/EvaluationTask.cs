using System.Text.RegularExpressions;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>A GSM8K task of lm-evaluation-harness 0.4.13: how it asks, where it stops, what its strict rule looks for.</summary>
public sealed partial class EvaluationTask
{
    private const string FinalMarker = "####";

    private readonly bool _numberOnly;
    private readonly Func<string, string?> _strict;

    private EvaluationTask(string name, PromptTemplate template, string[] stopStrings, int defaultShots, bool fixedShots, bool numberOnly, Func<string, string?> strict)
    {
        Name = name;
        Template = template;
        StopStrings = stopStrings;
        DefaultShots = defaultShots;
        HasFixedShots = fixedShots;
        _numberOnly = numberOnly;
        _strict = strict;
    }

    /// <summary>Task <c>gsm8k</c>: five shots drawn from the training split, the solution ends in <c>#### n</c>.</summary>
    public static EvaluationTask Gsm8k { get; } = new(
        "gsm8k", PromptTemplate.Gsm8k, ["Question:", "</s>", "<|im_end|>"], 5, false, false, text => MarkedNumber().FirstGroup(text));

    /// <summary>Task <c>gsm8k_cot</c>: eight fixed shots that end in <c>The answer is n.</c></summary>
    public static EvaluationTask ChainOfThought { get; } = new(
        "gsm8k_cot", PromptTemplate.ChainOfThought, ["Q:", "</s>", "<|im_end|>"], 8, true, true, text => AnswerIs().FirstGroup(text));

    /// <summary>Task <c>gsm8k_cot_zeroshot</c>: no shots, the prompt ends in <c>Let's think step by step.</c></summary>
    public static EvaluationTask ChainOfThoughtZeroShot { get; } = new(
        "gsm8k_cot_zeroshot", PromptTemplate.ChainOfThoughtZeroShot, ["Q:", "</s>", "<|im_end|>"], 0, false, false, text => AnswerIs().FirstGroup(text));

    /// <summary>Task <c>gsm8k_cot_llama</c>: eight fixed shots that end in <c>The final answer is n</c>.</summary>
    public static EvaluationTask ChainOfThoughtLlama { get; } = new(
        "gsm8k_cot_llama",
        PromptTemplate.ChainOfThoughtLlama,
        ["<|eot_id|>", "<|start_header_id|>user<|end_header_id|>", "Q:", "</s>", "<|im_end|>"],
        8,
        true,
        true,
        text => FinalAnswerIs().LastGroup(text));

    /// <summary>All tasks.</summary>
    public static IReadOnlyList<EvaluationTask> All { get; } = [Gsm8k, ChainOfThought, ChainOfThoughtZeroShot, ChainOfThoughtLlama];

    /// <summary>The harness' name of the task.</summary>
    public string Name { get; }

    /// <summary>How a question is put.</summary>
    public PromptTemplate Template { get; }

    /// <summary>Texts at which generation stops; they cut before the answer is looked for.</summary>
    public IReadOnlyList<string> StopStrings { get; }

    /// <summary>Number of shots when nobody says otherwise.</summary>
    public int DefaultShots { get; }

    /// <summary>Whether the shots are the task's own eight, in order; otherwise they are drawn from the training split.</summary>
    public bool HasFixedShots { get; }

    /// <summary>The task of that name.</summary>
    /// <exception cref="UserErrorException">There is none.</exception>
    public static EvaluationTask Parse(string name) => All.FirstOrDefault(task => task.Name == name)
        ?? throw new UserErrorException($"Unknown task \"{name}\": use {string.Join(", ", All.Select(task => task.Name))}.");

    /// <summary>The reference as the harness compares it: the whole solution, or only what follows its last <c>####</c>.</summary>
    /// <param name="answer">Reference solution.</param>
    public string Target(string answer) => _numberOnly ? answer[(answer.LastIndexOf(FinalMarker, StringComparison.Ordinal) is var at and >= 0 ? at + FinalMarker.Length : 0)..].Trim() : answer;

    /// <summary>What <c>strict-match</c> finds in a text that stop strings have cut, or null.</summary>
    internal string? ExtractStrict(string text) => _strict(text);

    [GeneratedRegex(@"#### (\-?[0-9\.\,]+)")]
    private static partial Regex MarkedNumber();

    // The last dot is any character but a newline, as the task has it: "The answer is 18" gives 1.
    [GeneratedRegex(@"The answer is (\-?[0-9\.\,]+).")]
    private static partial Regex AnswerIs();

    [GeneratedRegex(@"The final answer is ((-?[$0-9.,]{2,})|(-?[0-9]+))")]
    private static partial Regex FinalAnswerIs();
}
