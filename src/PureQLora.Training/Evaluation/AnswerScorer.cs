using System.Text.RegularExpressions;

namespace PureQLora.Training;

/// <summary>Scores generated solutions of grade-school problems by the rules of the public evaluation scripts.</summary>
/// <remarks>
/// Sources: EleutherAI/lm-evaluation-harness 0.4.13 (tasks/gsm8k), openai/grade-school-math (dataset.py),
/// meta-math/MetaMath (eval_gsm8k.py).
/// </remarks>
public static partial class AnswerScorer
{
    /// <summary>What the harness and OpenAI's script write where a text holds no answer.</summary>
    public const string Invalid = "[invalid]";

    /// <summary>Scores one generated solution.</summary>
    /// <param name="rule">The rule.</param>
    /// <param name="task">The task: it names the stop strings and the strict pattern; OpenAI's and MetaMath's rules do not use it.</param>
    /// <param name="reference">The reference solution, ending in <c>#### n</c>.</param>
    /// <param name="generated">What the model wrote, uncut.</param>
    /// <param name="endOfSequence">Spelling of the tokenizer's end-of-sequence token, one more stop string; null for none.</param>
    public static Verdict Score(ScoringRule rule, EvaluationTask task, string reference, string generated, string? endOfSequence = null)
    {
        switch (rule)
        {
            case ScoringRule.Strict:
            case ScoringRule.Flexible:
                string extracted = Extract(rule, task, generated, endOfSequence);
                return new(extracted, ExactMatch.AreEqual(extracted, task.Target(reference)));
            case ScoringRule.OpenAI:
                string answer = ExtractOpenAI(generated);
                return new(answer, answer == ExtractOpenAI(reference));
            case ScoringRule.MetaMath:
                return MetaMathRule.Score(reference, generated);
            default:
                throw new ArgumentOutOfRangeException(nameof(rule), rule, "Not a scoring rule.");
        }
    }

    /// <summary>The answer that a rule of the harness takes from a text, or <see cref="Invalid"/>.</summary>
    /// <param name="rule"><see cref="ScoringRule.Strict"/> or <see cref="ScoringRule.Flexible"/>.</param>
    /// <param name="task">The task.</param>
    /// <param name="generated">What the model wrote, uncut.</param>
    /// <param name="endOfSequence">Spelling of the tokenizer's end-of-sequence token, one more stop string; null for none.</param>
    public static string Extract(ScoringRule rule, EvaluationTask task, string generated, string? endOfSequence = null)
    {
        string text = StopStrings.Cut(generated, task.StopStrings, endOfSequence);
        return rule switch
        {
            ScoringRule.Strict => task.ExtractStrict(text) ?? Invalid,
            ScoringRule.Flexible => LastNumber().LastValue(text) ?? Invalid,
            _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, "Only strict and flexible extract by task."),
        };
    }

    /// <summary>Reads a rule's name as the tools write it: <c>strict</c>, <c>flexible</c>, <c>openai</c> or <c>metamath</c>.</summary>
    /// <exception cref="PureQLora.Core.UserErrorException">The name is none of them.</exception>
    public static ScoringRule ParseRule(string name) => name switch
    {
        "strict" => ScoringRule.Strict,
        "flexible" => ScoringRule.Flexible,
        "openai" => ScoringRule.OpenAI,
        "metamath" => ScoringRule.MetaMath,
        _ => throw new PureQLora.Core.UserErrorException($"Unknown scoring rule \"{name}\": use strict, flexible, openai or metamath."),
    };

    private static string ExtractOpenAI(string text) => FirstMarked().FirstGroup(text)?.Replace(",", "", StringComparison.Ordinal) ?? Invalid;

    // Python's findall gives the groups of a match as a tuple of which the harness takes the first that is not empty; the two
    // alternatives cover the whole match, so that is the match itself.
    [GeneratedRegex(@"(-?[$0-9.,]{2,})|(-?[0-9]+)")]
    private static partial Regex LastNumber();

    [GeneratedRegex(@"#### (\-?[0-9\.\,]+)")]
    private static partial Regex FirstMarked();
}
