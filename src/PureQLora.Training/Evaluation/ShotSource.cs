using System.Reflection;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>
/// Hands every test question its shots, exactly as lm-evaluation-harness does: a task's own eight in order, or rows of the training
/// split drawn by one generator that goes on from question to question. Ask in the order of the test set.
/// </summary>
public sealed class ShotSource
{
    /// <summary>Seed of the harness.</summary>
    public const int DefaultSeed = 1234;

    private static readonly Lazy<(string Question, string Reasoning, string Answer)[]> ChainOfThoughtShots = new(LoadShots);

    private readonly EvaluationTask _task;
    private readonly int _count;
    private readonly IReadOnlyList<GsmProblem> _training;
    private readonly MersenneTwister _random;

    /// <summary>Prepares the draws.</summary>
    /// <param name="task">The task.</param>
    /// <param name="count">Shots of each question.</param>
    /// <param name="training">The training split; may be empty where the task has its own shots or none are asked for.</param>
    /// <param name="seed">Seed of the draws.</param>
    /// <exception cref="UserErrorException">More shots than there are.</exception>
    public ShotSource(EvaluationTask task, int count, IReadOnlyList<GsmProblem> training, int seed = DefaultSeed)
    {
        int available = task.HasFixedShots ? ChainOfThoughtShots.Value.Length : training.Count;
        if (count < 0 || count > available)
        {
            throw new UserErrorException($"{count} shots asked for task {task.Name}, allowed 0–{available}. {(task.HasFixedShots ? "The task has its own shots." : "Shots are drawn from the training split.")}");
        }

        (_task, _count, _training) = (task, count, training);
        _random = new MersenneTwister((ulong)Math.Abs((long)seed));
    }

    /// <summary>The shots of the next question.</summary>
    public IReadOnlyList<Shot> Next()
    {
        if (_task.HasFixedShots)
        {
            string ending = _task == EvaluationTask.ChainOfThoughtLlama ? "The final answer is {0}" : "The answer is {0}.";
            return [.. ChainOfThoughtShots.Value.Take(_count).Select(shot => new Shot(shot.Question, $"{shot.Reasoning} {ending.Replace("{0}", shot.Answer, StringComparison.Ordinal)}"))];
        }

        return [.. NextRows().Select(row => new Shot(_training[row].Question, _task.Target(_training[row].Answer)))];
    }

    /// <summary>Rows of the training split for the next question.</summary>
    internal int[] NextRows() => _random.Sample(_training.Count, _count);

    private static (string Question, string Reasoning, string Answer)[] LoadShots()
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("ChainOfThoughtShots.json")!;
        using JsonDocument document = JsonDocument.Parse(stream);
        return [.. document.RootElement.GetProperty("shots").EnumerateArray().Select(shot =>
            (shot.GetProperty("question").GetString()!, shot.GetProperty("reasoning").GetString()!, shot.GetProperty("answer").GetString()!))];
    }
}
