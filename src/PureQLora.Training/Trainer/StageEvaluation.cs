using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Measures the states of a run's model on its problems; a result that is stored already is read and not measured again.</summary>
/// <param name="folder">The run's files.</param>
/// <param name="sets">The problems.</param>
/// <param name="options">How to ask and to score.</param>
/// <param name="tokenizer">The model's.</param>
/// <param name="backend">Computes.</param>
/// <param name="observer">Told of the progress.</param>
internal sealed class StageEvaluation(
    RunFolder folder, IReadOnlyList<ProblemSet> sets, EvaluationOptions options, ITokenizer tokenizer, IBackend backend, IRunObserver observer)
{
    /// <summary>All sets, in order.</summary>
    /// <param name="stage">Name of the model's state.</param>
    /// <param name="model">The model in that state.</param>
    /// <param name="weightBytes">Memory of its weights.</param>
    /// <param name="cancellationToken">Checked between tokens.</param>
    /// <param name="instead">Computes in place of the run's backend, or null.</param>
    public RunStage Measure(string stage, LlamaModel model, long weightBytes, CancellationToken cancellationToken, IBackend? instead = null)
    {
        List<EvaluationResult> results = [];
        foreach (ProblemSet set in sets)
        {
            string path = folder.Evaluation(stage, set.Name);
            EvaluationResult result = File.Exists(path) ? EvaluationResult.Load(path) : MeasureSet(stage, set, model, instead ?? backend, path, cancellationToken);
            observer.ReportEvaluation(result);
            results.Add(result);
        }

        return new RunStage(stage, weightBytes, results);
    }

    private EvaluationResult MeasureSet(string stage, ProblemSet set, LlamaModel model, IBackend computing, string path, CancellationToken cancellationToken)
    {
        model.MoveTo(computing);
        string name = $"{stage}, {set.Name}";
        EvaluationResult result = observer.Track(name, set.Problems.Count, progress => new Gsm8kEvaluator(model, tokenizer, computing).Evaluate(
            name,
            set.Problems,
            options,
            new DirectProgress<IReadOnlyList<EvaluationSample>>(samples => progress(samples.Count, $"exact match {Accuracy.Of(samples.Count(sample => sample.Correct), samples.Count)}")),
            cancellationToken));
        result.Save(path);
        return result;
    }
}
