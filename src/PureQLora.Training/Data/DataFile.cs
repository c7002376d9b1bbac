using System.Text.Json;
using System.Text.Unicode;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>Makes something of one record.</summary>
/// <typeparam name="T">What it makes.</typeparam>
/// <param name="record">The record; not to be kept.</param>
public delegate T RecordReader<T>(DataRecord record);

/// <summary>Reads JSON lines (<c>.jsonl</c>) or one JSON array of objects (<c>.json</c>); the first character tells which.</summary>
/// <remarks>Files come from strangers: UTF-8 is checked, nesting is limited, a field named twice is refused, every message names its line.</remarks>
public static class DataFile
{
    private const int DeepestNesting = 16;

    private static readonly JsonReaderOptions ReaderOptions = new() { MaxDepth = DeepestNesting };
    private static readonly JsonDocumentOptions DocumentOptions = new() { MaxDepth = DeepestNesting, AllowDuplicateProperties = false };

    /// <summary>Reads all records of a file.</summary>
    /// <typeparam name="T">What a record becomes.</typeparam>
    /// <param name="path">The file.</param>
    /// <param name="read">Called once a record, in order.</param>
    /// <exception cref="UserErrorException">The file cannot be read, holds no record, or a record is not as it should be.</exception>
    public static IReadOnlyList<T> Load<T>(string path, RecordReader<T> read) => Parse(ReadBytes(path), Path.GetFileName(path), read);

    /// <summary>Reads a file of JSON strings, one a line; blank lines are skipped.</summary>
    /// <exception cref="UserErrorException">The file cannot be read, or a line is not a JSON string.</exception>
    public static IReadOnlyList<string> LoadStrings(string path)
    {
        ReadOnlyMemory<byte> content = ReadBytes(path);
        content = content.Span.StartsWith("\uFEFF"u8) ? content[3..] : content;
        string name = Path.GetFileName(path);
        CheckUtf8(content.Span, name);
        List<string> strings = [];
        for (int line = 1; content.Length > 0; line++)
        {
            int end = content.Span.IndexOf((byte)'\n');
            ReadOnlyMemory<byte> text = end < 0 ? content : content[..end];
            content = end < 0 ? default : content[(end + 1)..];
            if (text.Span.IndexOfAnyExcept(" \t\r"u8) >= 0)
            {
                strings.Add(ReadString(text, $"{name}, line {line}"));
            }
        }

        return strings;
    }

    /// <summary>The bytes of a file.</summary>
    /// <exception cref="UserErrorException">It cannot be read.</exception>
    internal static byte[] ReadBytes(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new UserErrorException($"Cannot read the data file {path}: {exception.Message} Check the path and its permissions.", exception);
        }
    }

    /// <summary>Reads all records of a file's content.</summary>
    internal static IReadOnlyList<T> Parse<T>(ReadOnlyMemory<byte> content, string name, RecordReader<T> read)
    {
        if (content.Span.StartsWith("\uFEFF"u8))
        {
            content = content[3..];
        }

        List<T> records = [];
        CheckUtf8(content.Span, name);
        int first = content.Span.IndexOfAnyExcept(" \t\r\n"u8);
        if (first >= 0 && content.Span[first] == '[')
        {
            ParseArray(content, name, read, records);
        }
        else
        {
            ParseLines(content, name, read, records);
        }

        return records.Count > 0 ? records : throw new UserErrorException($"{name} holds no record. Give a file with at least one JSON object, one a line.");
    }

    // System.Text.Json looks at the bytes of a string only when it is asked for, and then with another exception.
    private static void CheckUtf8(ReadOnlySpan<byte> content, string name)
    {
        if (!Utf8.IsValid(content))
        {
            int line = 1;
            while (content.IndexOf((byte)'\n') is var end and >= 0 && Utf8.IsValid(content[..end]))
            {
                content = content[(end + 1)..];
                line++;
            }

            throw new UserErrorException($"{name}, line {line} is not UTF-8. Save the file as UTF-8.");
        }
    }

    private static void ParseLines<T>(ReadOnlyMemory<byte> content, string name, RecordReader<T> read, List<T> records)
    {
        for (int line = 1; content.Length > 0; line++)
        {
            int end = content.Span.IndexOf((byte)'\n');
            ReadOnlyMemory<byte> text = end < 0 ? content : content[..end];
            content = end < 0 ? default : content[(end + 1)..];
            if (text.Span.IndexOfAnyExcept(" \t\r"u8) < 0)
            {
                continue;
            }

            records.Add(Read(text, $"{name}, line {line}", read));
        }
    }

    private static void ParseArray<T>(ReadOnlyMemory<byte> content, string name, RecordReader<T> read, List<T> records)
    {
        Utf8JsonReader reader = new(content.Span, ReaderOptions);
        int line = 1;
        int counted = 0;
        try
        {
            reader.Read();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                int start = (int)reader.TokenStartIndex;
                line += content.Span[counted..start].Count((byte)'\n');
                counted = start;
                reader.Skip();
                records.Add(Read(content[start..(int)reader.BytesConsumed], $"{name}, line {line}", read));
            }

            // Anything behind the array is an error, too.
            reader.Read();
        }
        catch (JsonException exception)
        {
            throw NotJson($"{name}, line {line + content.Span[counted..(int)reader.BytesConsumed].Count((byte)'\n')}", exception);
        }
    }

    private static string ReadString(ReadOnlyMemory<byte> json, string location)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, DocumentOptions);
            return document.RootElement.ValueKind == JsonValueKind.String
                ? document.RootElement.GetString()!
                : throw new UserErrorException($"{location} is no JSON string; write one string in quotes a line, such as \"some text\".");
        }
        catch (JsonException exception)
        {
            throw new UserErrorException($"{location} is not valid JSON; write one string in quotes a line, such as \"some text\".", exception);
        }
        catch (InvalidOperationException exception)
        {
            throw new UserErrorException($"{location} holds half of a surrogate pair, which is no text. Write the character itself or both halves.", exception);
        }
    }

    private static T Read<T>(ReadOnlyMemory<byte> json, string location, RecordReader<T> read)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, DocumentOptions);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? read(new DataRecord(document.RootElement, location))
                : throw new UserErrorException($"{location}: a record must be a JSON object such as {{\"question\": …, \"answer\": …}}. Correct the line.");
        }
        catch (JsonException exception)
        {
            throw NotJson(location, exception);
        }
        catch (InvalidOperationException exception)
        {
            // What System.Text.Json throws for a name or a string that cannot become UTF-16.
            throw new UserErrorException($"{location} holds half of a surrogate pair, which is no text. Write the character itself or both halves.", exception);
        }
    }

    // System.Text.Json's own message tells the position inside the record; its wording is for programmers.
    private static UserErrorException NotJson(string location, JsonException exception) => new(
        $"{location} is not a valid JSON record (at byte {exception.BytePositionInLine?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "?"}: {exception.Message.Split(" Path:")[0].Split(" LineNumber:")[0].TrimEnd('.')}). Write one JSON object a line, in UTF-8, nested at most {DeepestNesting} levels.",
        exception);
}
