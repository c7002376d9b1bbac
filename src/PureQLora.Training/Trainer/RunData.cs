using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>What a run trains on, and the problems that it is measured on; a test problem that is also trained on is refused.</summary>
/// <param name="Training">The samples, tokenised.</param>
/// <param name="ProblemSets">What is measured; empty where nothing is.</param>
public sealed record RunData(TrainingData Training, IReadOnlyList<ProblemSet> ProblemSets)
{
    private const int LargestPool = 10_000_000;

    /// <summary>Reads or makes the data of a recipe.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="threads">Threads that tokenise; 0 takes one a processor. The result does not depend on it.</param>
    /// <exception cref="UserErrorException">A file is not as it should be, or test problems are trained on.</exception>
    public static RunData Load(Recipe recipe, ITokenizer tokenizer, int threads = 0)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        DataRecipe data = recipe.Data;
        SampleEncoder encoder = new(tokenizer) { MaxLength = data.MaxLength, CompletionOnly = data.CompletionOnly };
        (IReadOnlyList<TrainingExample> examples, IReadOnlyList<string> questions) = data.Train is { } file ? FromFile(data, file) : FromGenerator(data);
        IReadOnlyList<ProblemSet> sets = recipe.Evaluation.Enabled ? Problems(recipe) : [];
        foreach (ProblemSet set in sets)
        {
            ProblemOverlap.Refuse(questions, set.Problems.Select(problem => problem.Question));
        }

        return new RunData(TrainingData.Create(examples, encoder, threads), sets);
    }

    /// <summary>Token ids of the first training samples, for GPTQ.</summary>
    /// <param name="samples">How many at most.</param>
    /// <param name="length">Tokens of each at most.</param>
    public IReadOnlyList<int[]> Calibration(int samples, int length) =>
        [.. Training.Samples.Take(samples).Select(sample => sample.InputIds.Length <= length ? sample.InputIds : sample.InputIds[..length])];

    private static (IReadOnlyList<TrainingExample> Examples, IReadOnlyList<string> Questions) FromFile(DataRecipe data, string file)
    {
        ExampleReader reader = new() { Format = data.Format, KeepCalculatorMarks = data.KeepCalculatorMarks };
        IReadOnlyList<TrainingExample> examples = reader.Load(file);
        examples = data.Limit is { } limit ? [.. examples.Take(limit)] : examples;
        return (examples, [.. examples.OfType<PromptCompletionExample>().Select(example => PromptTemplate.Gsm8k.QuestionOf(example.Prompt))]);
    }

    private static (IReadOnlyList<TrainingExample> Examples, IReadOnlyList<string> Questions) FromGenerator(DataRecipe data)
    {
        WordProblemsRecipe recipe = data.WordProblems;
        WordProblem[] problems =
        [
            .. Generate(recipe.Seed, [ProblemFamily.Earning], ProblemSplit.Training, recipe.NewProblems),
            .. Generate(recipe.Seed, WordProblemGenerator.KnownFamilies, ProblemSplit.Training, recipe.OldProblems),
        ];

        // Mixed here, so that the first samples, which calibrate the quantisation, are of all families.
        int[] order = [.. Enumerable.Range(0, problems.Length)];
        new SplitMix64(recipe.Seed).Shuffle(order);
        IEnumerable<WordProblem> mixed = order.Select(i => problems[i]).Take(data.Limit ?? int.MaxValue);
        PromptTemplate template = PromptTemplate.Gsm8k;
        return (
            [.. mixed.Select((problem, i) => new PromptCompletionExample(
                $"generated problem {i + 1}",
                template.Render(problem.Question),
                template.TargetDelimiter + (data.KeepCalculatorMarks ? problem.Answer : CalculatorMarks.Remove(problem.Answer))))],
            [.. mixed.Select(problem => problem.Question)]);
    }

    private static IReadOnlyList<WordProblem> Generate(ulong seed, IReadOnlyList<ProblemFamily> families, ProblemSplit split, int count)
    {
        try
        {
            return count == 0 ? [] : new WordProblemGenerator(seed, families, split).Distinct(Math.Min(count, LargestPool));
        }
        catch (ArgumentOutOfRangeException exception)
        {
            throw new UserErrorException($"{count} different problems were asked for, but the generator has not so many; ask for fewer in data.wordProblems or evaluation.limit.", exception);
        }
    }

    private static IReadOnlyList<ProblemSet> Problems(Recipe recipe)
    {
        int limit = recipe.Evaluation.Limit;
        if (recipe.Evaluation.File is { } file)
        {
            return [new(Path.GetFileNameWithoutExtension(file), [.. GsmProblem.Load(file).Take(limit)])];
        }

        if (recipe.Data.Train is not null)
        {
            return [];
        }

        ulong seed = recipe.Data.WordProblems.Seed;
        return
        [
            new("new family", [.. Generate(seed, [ProblemFamily.Earning], ProblemSplit.Test, limit).Select(problem => problem.ToGsmProblem())]),
            new("old families", [.. Generate(seed, WordProblemGenerator.KnownFamilies, ProblemSplit.Test, limit).Select(problem => problem.ToGsmProblem())]),
        ];
    }
}
