using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A value inside a JSON file that remembers where it lies, so that every complaint can say so.</summary>
/// <param name="Element">The value.</param>
/// <param name="File">The file.</param>
/// <param name="Path">The way to the value, as in <c>model.merges[3]</c>.</param>
internal readonly record struct JsonPart(JsonElement Element, string File, string Path)
{
    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false, MaxDepth = 64 };

    /// <summary>Parses a file whose top is an object.</summary>
    /// <exception cref="UserErrorException">It is not JSON, nests too deeply, or names a property twice.</exception>
    public static JsonPart Parse(ReadOnlyMemory<byte> data, string file)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(data, Options);
            return new JsonPart(document.RootElement.Clone(), file, "").OfKind(JsonValueKind.Object, "an object");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new UserErrorException($"{file} is not valid JSON: {WellFormedText.OneLine(exception.Message.TrimEnd('.'))}; get the file again.", exception);
        }
    }

    /// <summary>A property, or null where it is absent or null.</summary>
    public JsonPart? Optional(string name) =>
        OfKind(JsonValueKind.Object, "an object").Element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? new JsonPart(value, File, Join(name))
            : null;

    /// <summary>A property that must be there.</summary>
    public JsonPart Required(string name) => Optional(name) ?? throw Error($"has no {name}, which is needed");

    /// <summary>A string property, or null.</summary>
    public string? OptionalText(string name) => Optional(name)?.Text();

    /// <summary>A Boolean property, or <paramref name="otherwise"/> where it is absent.</summary>
    public bool Flag(string name, bool otherwise) => Optional(name)?.Flag() ?? otherwise;

    /// <summary>The value as a Boolean.</summary>
    public bool Flag() => Element.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? Element.GetBoolean()
        : throw Error($"is {Shown()}, allowed is true or false");

    /// <summary>The value as a string.</summary>
    public string Text()
    {
        try
        {
            return OfKind(JsonValueKind.String, "a string").Element.GetString()!;
        }
        catch (InvalidOperationException exception)
        {
            throw new UserErrorException($"{File}: {Path} is not valid Unicode; get the file again.", exception);
        }
    }

    /// <summary>The value as an integer of a range.</summary>
    public int Integer(int lowest, int highest) =>
        Element.ValueKind == JsonValueKind.Number && Element.TryGetInt32(out int value) && value >= lowest && value <= highest
            ? value
            : throw Error($"is {Shown()}, allowed is an integer from {lowest} to {highest}");

    /// <summary>The elements of an array.</summary>
    public IEnumerable<JsonPart> Items()
    {
        OfKind(JsonValueKind.Array, "an array");
        int index = 0;
        foreach (JsonElement item in Element.EnumerateArray())
        {
            yield return new JsonPart(item, File, $"{Path}[{index++}]");
        }
    }

    /// <summary>The properties of an object.</summary>
    public IEnumerable<KeyValuePair<string, JsonPart>> Members()
    {
        OfKind(JsonValueKind.Object, "an object");
        foreach (JsonProperty property in Element.EnumerateObject())
        {
            string name = ReadName(property);
            yield return new(name, new JsonPart(property.Value, File, Join(name)));
        }
    }

    /// <summary>Refuses properties that are not known, by name.</summary>
    public void AllowOnly(params ReadOnlySpan<string> names)
    {
        foreach ((string name, JsonPart _) in Members())
        {
            if (!names.Contains(name))
            {
                throw Error($"has the property '{name}', which is not supported; known are {string.Join(", ", names.ToArray())}");
            }
        }
    }

    /// <summary>A complaint about this value.</summary>
    public UserErrorException Error(string problem) => new(WellFormedText.OneLine($"{File}: {(Path.Length == 0 ? "the file" : Path)} {problem}."));

    private static string ReadName(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException exception)
        {
            throw new UserErrorException("A property name is not valid Unicode; get the file again.", exception);
        }
    }

    private JsonPart OfKind(JsonValueKind kind, string allowed) =>
        Element.ValueKind == kind ? this : throw Error($"is {Shown()}, allowed is {allowed}");

    private string Join(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    private string Shown() => Element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        _ => Element.GetRawText() is { Length: < 40 } text ? text : "a long number",
    };
}
