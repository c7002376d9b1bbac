using System.Diagnostics;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Exact match on grade-school problems: prompts are made of questions alone and checked by <see cref="LeakGuard"/>, answers are
/// generated greedily and scored by a public rule.
/// </summary>
/// <param name="model">With or without adapters.</param>
/// <param name="tokenizer">The model's.</param>
/// <param name="backend">Computes.</param>
public sealed class Gsm8kEvaluator(LlamaModel model, ITokenizer tokenizer, IBackend backend)
{
    /// <summary>Asks all problems.</summary>
    /// <param name="name">What is measured, for the result.</param>
    /// <param name="problems">With reference solutions, which only the scorer sees.</param>
    /// <param name="options">How to ask and to score.</param>
    /// <param name="progress">Told after each batch: all samples so far.</param>
    /// <param name="cancellationToken">Checked between tokens.</param>
    /// <exception cref="UserErrorException">No problems, a prompt that leaks, or a prompt that is too long for the model.</exception>
    public EvaluationResult Evaluate(
        string name,
        IReadOnlyList<GsmProblem> problems,
        EvaluationOptions options,
        IProgress<IReadOnlyList<EvaluationSample>>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(problems);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (problems.Count == 0)
        {
            throw new UserErrorException("There are no problems to evaluate; give a file with at least one, and a limit of at least 1.");
        }

        long started = Stopwatch.GetTimestamp();
        int[][] prompts = [.. Prompts(problems, options)];
        EvaluationSample[] samples = new EvaluationSample[problems.Count];
        TextGenerator generator = new(model, tokenizer, backend) { Precision = options.Precision, MaxBatch = options.BatchSize };
        SamplingOptions sampling = new() { MaxNewTokens = options.MaxNewTokens, StopStrings = options.Task.StopStrings, StopIds = options.StopIds };
        List<EvaluationSample> done = [];

        // Prompts of like length share a batch, so that little padding is computed; results go back to the order of the file.
        int[] order = [.. Enumerable.Range(0, prompts.Length).OrderBy(i => prompts[i].Length).ThenBy(i => i)];
        foreach (int[] batch in order.Chunk(options.BatchSize))
        {
            IReadOnlyList<Generation> generations = generator.Generate([.. batch.Select(i => prompts[i])], sampling, cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            for (int i = 0; i < batch.Length; i++)
            {
                samples[batch[i]] = Score(problems[batch[i]], generations[i].Text, options);
                done.Add(samples[batch[i]]);
            }

            progress?.Report(done);
        }

        int correct = samples.Count(sample => sample.Correct);
        Accuracy accuracy = Accuracy.Of(correct, samples.Length);
        return new EvaluationResult
        {
            Name = name,
            Correct = correct,
            Count = samples.Length,
            ExactMatch = accuracy.Mean,
            StandardError = accuracy.StandardError,
            Task = options.Task.Name,
            Shots = options.Shots,
            Rule = options.Rule,
            Precision = options.Precision,
            Device = backend.Description,
            MaxNewTokens = options.MaxNewTokens,
            Seconds = Stopwatch.GetElapsedTime(started).TotalSeconds,
            Samples = samples,
        };
    }

    /// <summary>Tokens of the longest prompt, for plans.</summary>
    /// <param name="problems">At least one.</param>
    /// <param name="options">How to ask.</param>
    public int LongestPrompt(IReadOnlyList<GsmProblem> problems, EvaluationOptions options)
    {
        ArgumentNullException.ThrowIfNull(problems);
        ArgumentNullException.ThrowIfNull(options);
        return Prompts(problems, options).Max(prompt => prompt.Length);
    }

    private IEnumerable<int[]> Prompts(IReadOnlyList<GsmProblem> problems, EvaluationOptions options)
    {
        ShotSource shots = new(options.Task, options.Shots, options.ShotProblems);
        foreach (GsmProblem problem in problems)
        {
            EvaluationPrompt prompt = EvaluationPrompt.FewShot(options.Task.Template, shots.Next(), problem.Question);
            LeakGuard.Check(prompt, problem.Answer);
            int[] ids = tokenizer.Encode(prompt.Text, addSpecial: true);

            // A tokenizer that closes every text would have the model start after its own end.
            yield return ids.Length > 1 && ids[^1] == tokenizer.EosId ? ids[..^1] : ids;
        }
    }

    private EvaluationSample Score(GsmProblem problem, string generated, EvaluationOptions options)
    {
        string? end = tokenizer.EosId is { } id ? tokenizer.IdToToken(id) : null;
        Verdict verdict = AnswerScorer.Score(options.Rule, options.Task, problem.Answer, generated, end is { Length: > 0 } ? end : null);
        return new EvaluationSample(problem.Question, problem.Answer, generated, verdict.Extracted, verdict.Correct == true);
    }
}
