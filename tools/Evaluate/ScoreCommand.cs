using System.CommandLine;
using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Evaluate;

/// <summary><c>evaluate score</c>: verdicts on texts that something else generated.</summary>
internal static class ScoreCommand
{
    public static Command Create()
    {
        Option<string> references = new Option<string>("--references") { Description = "JSONL file, {\"answer\": …} a line.", Required = true }.NotEmpty();
        Option<string> predictions = new Option<string>("--predictions") { Description = "JSONL file, {\"generated\": …} a line, in the same order.", Required = true }.NotEmpty();
        Option<string> task = new("--task") { Description = "gsm8k, gsm8k_cot, gsm8k_cot_zeroshot or gsm8k_cot_llama.", DefaultValueFactory = _ => EvaluationTask.Gsm8k.Name };
        Option<string> rule = new("--rule") { Description = "strict, flexible, openai or metamath.", Required = true };
        Option<string?> output = new Option<string?>("--output") { Description = "JSONL file to write: {\"extracted\": …, \"correct\": …} a line." }.NotEmpty();
        Command command = new("score", "Scores existing texts; no model is needed.") { references, predictions, task, rule, output };
        command.SetAction(result => Score(
            DataFile.Load(result.GetValue(references)!, record => record.Text("answer")),
            DataFile.Load(result.GetValue(predictions)!, record => record.Text("generated")),
            EvaluationTask.Parse(result.GetValue(task)!),
            AnswerScorer.ParseRule(result.GetValue(rule)!),
            result.GetValue(output)));
        return command;
    }

    private static int Score(IReadOnlyList<string> references, IReadOnlyList<string> predictions, EvaluationTask task, ScoringRule rule, string? output)
    {
        if (references.Count != predictions.Count)
        {
            throw new UserErrorException($"There are {references.Count} references and {predictions.Count} predictions; give one prediction for each reference, in the same order.");
        }

        Verdict[] verdicts = [.. references.Zip(predictions, (reference, generated) => AnswerScorer.Score(rule, task, reference, generated))];
        if (output is not null)
        {
            AtomicFile.WriteText(output, string.Concat(verdicts.Select(verdict =>
                JsonSerializer.Serialize(new { extracted = verdict.Extracted, correct = verdict.Correct }) + "\n")));
        }

        System.Console.WriteLine($"accuracy {Accuracy.Of(verdicts.Count(verdict => verdict.Correct == true), verdicts.Length)} on {verdicts.Length} texts ({task.Name}, {rule.ToString().ToLowerInvariant()})");
        return ToolProgram.Success;
    }
}
