using PureQLora.Core;
using PureQLora.Training;

namespace PureQLora.Tools.Bench;

/// <summary>A text to tokenise.</summary>
/// <param name="Name">Its name in the table.</param>
/// <param name="Lines">Its lines; of a data file, one text a record.</param>
internal sealed record BenchmarkText(string Name, string[] Lines)
{
    private const int GeneratedProblems = 10_000;

    /// <summary>All of it in one string.</summary>
    public string Whole { get; } = string.Join('\n', Lines);

    /// <summary>Reads a text file, or the records of a JSON data file.</summary>
    public static BenchmarkText Read(string path)
    {
        string name = Path.GetFileNameWithoutExtension(path);
        if (path.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
        {
            return new(name, [.. new ExampleReader().Load(path).Select(Text)]);
        }

        try
        {
            return new(name, File.ReadAllText(path).Split('\n'));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"{path} cannot be read ({exception.Message}); check the path.", exception);
        }
    }

    /// <summary>Word problems as the embedded model is trained on.</summary>
    public static BenchmarkText Generate()
    {
        WordProblemGenerator generator = new(seed: 1, Enum.GetValues<ProblemFamily>(), ProblemSplit.Training);
        return new("generated", [.. Enumerable.Range(0, GeneratedProblems).Select(i => generator.At(i)).Select(problem => $"{problem.Question}\n{problem.Answer}")]);
    }

    private static string Text(TrainingExample example) => example switch
    {
        PromptCompletionExample pair => pair.Prompt + pair.Completion,
        TextExample text => text.Text,
        _ => throw new UserErrorException($"{example.Location} holds no text to tokenise; give a file of texts."),
    };
}
