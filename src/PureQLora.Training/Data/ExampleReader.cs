using System.Text;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>Reads training files of every <see cref="DataFormat"/>.</summary>
public sealed class ExampleReader
{
    private const string DocumentSeparator = "<|endoftext|>";

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    /// <summary>What the records hold.</summary>
    public DataFormat Format { get; init; } = DataFormat.Auto;

    /// <summary>How questions and instructions become prompts.</summary>
    public PromptTemplate Template { get; init; } = PromptTemplate.Gsm8k;

    /// <summary>Whether GSM8K's calculator marks stay in the solutions.</summary>
    public bool KeepCalculatorMarks { get; init; } = true;

    /// <summary>Reads a file.</summary>
    /// <exception cref="UserErrorException">The file cannot be read, is empty, or a record is not as its format wants it.</exception>
    public IReadOnlyList<TrainingExample> Load(string path) => Parse(DataFile.ReadBytes(path), Path.GetFileName(path));

    internal IReadOnlyList<TrainingExample> Parse(ReadOnlyMemory<byte> content, string name)
    {
        if (Format == DataFormat.PlainText || (Format == DataFormat.Auto && name.EndsWith(".txt", StringComparison.OrdinalIgnoreCase)))
        {
            return ReadPlainText(content.Span, name);
        }

        DataFormat format = Format;
        return DataFile.Parse(content, name, record =>
        {
            format = format == DataFormat.Auto ? Detect(record) : format;
            return Read(record, format);
        });
    }

    private static DataFormat Detect(DataRecord record)
    {
        return record switch
        {
            _ when record.Has("question") => DataFormat.Gsm8k,
            _ when record.Has("prompt") => DataFormat.PromptCompletion,
            _ when record.Has("query") => DataFormat.QueryResponse,
            _ when record.Has("instruction") => DataFormat.Instruction,
            _ when record.Has("text") => DataFormat.Text,
            _ when record.Has("input_ids") => DataFormat.Tokenized,
            _ when record.Has("input") && record.Has("target") => DataFormat.Gsm8k,
            _ => throw new UserErrorException($"{record.Location}: no known format has these fields. Known are question/answer, prompt/completion, query/response, instruction/output, text, input_ids/labels and input/target."),
        };
    }

    private TrainingExample Read(DataRecord record, DataFormat format) => format switch
    {
        DataFormat.Gsm8k => ReadProblem(record),
        DataFormat.PromptCompletion => new PromptCompletionExample(record.Location, record.Text("prompt"), record.Text("completion")),
        DataFormat.QueryResponse => Render(record, record.NonEmptyText("query"), record.NonEmptyText("response")),
        DataFormat.Instruction => Render(record, Instruction(record), record.NonEmptyText("output")),
        DataFormat.Text => new TextExample(record.Location, record.NonEmptyText("text")),
        DataFormat.Tokenized => ReadTokenized(record),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "Not a format of JSON records."),
    };

    private PromptCompletionExample ReadProblem(DataRecord record)
    {
        GsmProblem problem = GsmProblem.From(record);
        return Render(record, problem.Question, KeepCalculatorMarks ? problem.Answer : problem.WithoutCalculatorMarks().Answer);
    }

    private PromptCompletionExample Render(DataRecord record, string question, string answer) =>
        new(record.Location, Template.Render(question), Template.TargetDelimiter + answer);

    private static string Instruction(DataRecord record)
    {
        string instruction = record.NonEmptyText("instruction");
        return record.Has("input") && record.Text("input") is { Length: > 0 } input ? $"{instruction}\n{input}" : instruction;
    }

    private static TokenizedExample ReadTokenized(DataRecord record)
    {
        int[] ids = record.Integers("input_ids");
        int[] labels = record.Has("labels") ? record.Integers("labels") : ids;
        if (ids.Length == 0 || ids.Length != labels.Length)
        {
            throw new UserErrorException($"{record.Location}: {ids.Length} input_ids and {labels.Length} labels; there must be at least one id and as many labels as ids.");
        }

        if (ids.AsSpan().ContainsAnyExceptInRange(0, int.MaxValue) || labels.Any(label => label is < 0 and not TrainingSample.NoLabel))
        {
            throw new UserErrorException($"{record.Location}: a token id or label is negative; labels may be {TrainingSample.NoLabel} where nothing is learnt, everything else counts from 0.");
        }

        return new(record.Location, ids, labels);
    }

    private static List<TrainingExample> ReadPlainText(ReadOnlySpan<byte> content, string name)
    {
        string text;
        try
        {
            text = StrictUtf8.GetString(content.StartsWith("\uFEFF"u8) ? content[3..] : content);
        }
        catch (DecoderFallbackException exception)
        {
            throw new UserErrorException($"{name} is not UTF-8 at byte {exception.Index}. Save it as UTF-8.", exception);
        }

        List<TrainingExample> documents = [];
        foreach (string document in text.Split(DocumentSeparator))
        {
            if (document.Trim() is { Length: > 0 } trimmed)
            {
                documents.Add(new TextExample($"{name}, document {documents.Count + 1}", trimmed, Splittable: true));
            }
        }

        return documents.Count > 0 ? documents : throw new UserErrorException($"{name} holds no text. Give a file with at least one sentence.");
    }
}
