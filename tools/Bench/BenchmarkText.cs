using System.Text;
using PureQLora.Core;
using PureQLora.Training;

namespace PureQLora.Tools.Bench;

/// <summary>A text to tokenise.</summary>
/// <param name="Name">Its name in the table.</param>
/// <param name="Examples">Its lines that are not empty, or the records of a data file.</param>
internal sealed record BenchmarkText(string Name, TrainingExample[] Examples)
{
    private const int GeneratedProblems = 10_000;

    /// <summary>Text of each example.</summary>
    public string[] Lines { get; } = [.. Examples.Select(Text)];

    /// <summary>All of it in one string.</summary>
    public string Whole => string.Join('\n', Lines);

    /// <summary>Bytes of the lines as UTF-8.</summary>
    public long Bytes => Lines.Sum(line => (long)Encoding.UTF8.GetByteCount(line));

    /// <summary>Reads a text file, or the records of a JSON data file.</summary>
    public static BenchmarkText Read(string path)
    {
        string name = Path.GetFileNameWithoutExtension(path);
        if (path.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
        {
            return new(name, [.. new ExampleReader().Load(path)]);
        }

        try
        {
            string[] lines = File.ReadAllText(path).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            return new(name, [.. lines.Select((line, index) => new TextExample($"{name}, line {index + 1}", line))]);
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
        PromptTemplate template = PromptTemplate.Gsm8k;
        return new("generated", [.. Enumerable.Range(0, GeneratedProblems).Select(i => generator.At(i)).Select((problem, i) =>
            new PromptCompletionExample($"problem {i + 1}", template.Render(problem.Question), template.TargetDelimiter + problem.Answer))]);
    }

    private static string Text(TrainingExample example) => example switch
    {
        PromptCompletionExample pair => pair.Prompt + pair.Completion,
        TextExample text => text.Text,
        _ => throw new UserErrorException($"{example.Location} holds no text to tokenise; give a file of texts."),
    };
}
