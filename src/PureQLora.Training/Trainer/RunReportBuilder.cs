using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Makes the report of a finished run.</summary>
internal static class RunReportBuilder
{
    private const int Samples = 8;

    /// <summary>Everything that <c>report.html</c> shows.</summary>
    public static RunReport Build(RunSummary summary, Recipe recipe, LlamaModel model, IBackend backend) => new()
    {
        Title = summary.Name,
        Facts = Facts(summary, recipe, backend),
        Scores = [.. summary.Stages.SelectMany(stage => stage.Results.Select((result, i) => new ReportScore(stage.Name, summary.ProblemSets[i], result.Accuracy)))],
        Curves =
        [
            new("Loss", [.. summary.Steps.Select(step => ((double)step.Step, step.Loss))], Noisy: true),
            new("Learning rate", [.. summary.Steps.Select(step => ((double)step.Step, step.LearningRate))]),
            new("Gradient norm", [.. summary.Steps.Select(step => ((double)step.Step, step.GradNorm))], Noisy: true),
        ],
        Memory =
        [
            .. summary.Stages.Select(stage => new ReportMemory($"Weights, {stage.Name}", stage.WeightBytes)),
            new("Gradients and optimiser state", summary.OptimizerBytes - (summary.TrainableParameters * sizeof(float))),
            .. summary.PeakActivationBytes > 0 ? [new ReportMemory("Activations of one pass, at most", summary.PeakActivationBytes)] : Array.Empty<ReportMemory>(),
        ],
        Samples = [.. Pairs(summary)],
        Recipe = RecipeReader.ToJson(recipe),
    };

    private static List<KeyValuePair<string, string>> Facts(RunSummary summary, Recipe recipe, IBackend backend)
    {
        CultureInfo invariant = CultureInfo.InvariantCulture;
        List<KeyValuePair<string, string>> facts =
        [
            new("Base model", recipe.Model.Path),
            new("Weights", summary.BaseParameters.ToString("N0", invariant)),
            new("Trained", string.Create(invariant, $"{summary.TrainableParameters:N0} ({100 * summary.TrainableShare:F2} %)")),
            new("Device", backend.Description),
            new("Precision", recipe.Training.Precision!.Value.Name()),
            new("Steps", summary.Steps.Count.ToString("N0", invariant)),
            new("Tokens", summary.Tokens.ToString("N0", invariant)),
            new("Training time", string.Create(invariant, $"{summary.TrainingSeconds:F0} s")),
        ];
        facts.AddRange(summary.Changes().Select(change => new KeyValuePair<string, string>("Before → after fine-tuning", change)));
        return facts;
    }

    /// <summary>The first problems of every set, before and after.</summary>
    private static IEnumerable<ReportSample> Pairs(RunSummary summary)
    {
        (RunStage before, RunStage after) = (summary.Stages[^2], summary.Stages[^1]);
        for (int set = 0; set < summary.ProblemSets.Count; set++)
        {
            foreach ((EvaluationSample old, EvaluationSample now) in before.Results[set].Samples.Zip(after.Results[set].Samples).Take(Samples / summary.ProblemSets.Count))
            {
                yield return new ReportSample(now.Question, now.Reference, old.Generated, old.Correct, now.Generated, now.Correct);
            }
        }
    }
}
