using System.Text.Json;
using System.Text.Unicode;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Strangers' JSON: whole documents that are valid UTF-8, of bounded size and depth, without duplicate names.</summary>
internal static class JsonFile
{
    private const int MaxDepth = 64;

    /// <summary>Reads the JSON object of a file.</summary>
    /// <param name="path">The file; errors name it.</param>
    /// <param name="maxBytes">Larger files are refused unread.</param>
    /// <exception cref="UserErrorException">The file is missing, too large, or not a JSON object.</exception>
    public static JsonElement ReadObject(string path, long maxBytes = 64L << 20) => ParseObject(ReadBytes(path, maxBytes), path);

    /// <summary>Reads a file of bounded size.</summary>
    /// <exception cref="UserErrorException">The file is missing, unreadable or too large.</exception>
    public static byte[] ReadBytes(string path, long maxBytes)
    {
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            if (file.Length > maxBytes)
            {
                throw new UserErrorException($"{path} has {file.Length} bytes, allowed {maxBytes}; it is not the kind of file that its name says.");
            }

            byte[] bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new UserErrorException($"{path} could not be read ({exception.Message}); check the path.", exception);
        }
    }

    /// <summary>Parses one JSON object.</summary>
    /// <param name="utf8">The text; a leading byte-order mark is skipped.</param>
    /// <param name="source">What errors call it: the file.</param>
    /// <param name="maxDepth">Deeper nesting is refused.</param>
    /// <exception cref="UserErrorException">Not a JSON object.</exception>
    public static JsonElement ParseObject(ReadOnlyMemory<byte> utf8, string source, int maxDepth = MaxDepth)
    {
        if (utf8.Span.StartsWith("\uFEFF"u8))
        {
            utf8 = utf8[3..];
        }

        if (!Utf8.IsValid(utf8.Span))
        {
            throw new UserErrorException($"{source} is not valid UTF-8, so it is no JSON; it may be damaged or another kind of file.");
        }

        try
        {
            CheckEscapes(utf8.Span, maxDepth);
            using JsonDocument document = JsonDocument.Parse(utf8, new JsonDocumentOptions { MaxDepth = maxDepth, AllowDuplicateProperties = false });
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? document.RootElement.Clone()
                : throw new UserErrorException($"{source} holds a JSON {document.RootElement.ValueKind}, expected an object in braces.");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new UserErrorException($"{source} is not valid JSON ({exception.Message.TrimEnd('.')}); it may be damaged or cut short.", exception);
        }
    }

    // Half a surrogate pair is valid JSON but no text: asking for the string would throw much later.
    private static void CheckEscapes(ReadOnlySpan<byte> utf8, int maxDepth)
    {
        Utf8JsonReader reader = new(utf8, new JsonReaderOptions { MaxDepth = maxDepth });
        while (reader.Read())
        {
            if (reader.ValueIsEscaped)
            {
                _ = reader.GetString();
            }
        }
    }
}
