using System.Globalization;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Typed access to the members of a stranger's JSON object. A wrong type or a value out of range is an error that names the file, the
/// key, the actual and the allowed value; what nobody asked for can be listed. A null counts as absent, as in the files' own libraries.
/// </summary>
internal sealed class JsonFields
{
    private readonly JsonElement _object;
    private readonly string _prefix;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    /// <summary>Wraps an object.</summary>
    /// <param name="element">The object.</param>
    /// <param name="source">What errors call it: the file.</param>
    /// <param name="prefix">Keys on the way to a nested object, each with its dot.</param>
    public JsonFields(JsonElement element, string source, string prefix = "") => (_object, Source, _prefix) = (element, source, prefix);

    /// <summary>The file that errors name.</summary>
    public string Source { get; }

    /// <summary>Members that no method was asked for, in the order of the file.</summary>
    public IEnumerable<string> Unread => _object.EnumerateObject().Select(member => member.Name).Where(name => !_read.Contains(name));

    /// <summary>All members, in the order of the file.</summary>
    public IEnumerable<string> Names => _object.EnumerateObject().Select(member => member.Name);

    /// <summary>The key with the path to this object, as errors say it.</summary>
    public string Path(string key) => _prefix + key;

    /// <summary>Whether the member is there, even as null.</summary>
    public bool Contains(string key) => _object.TryGetProperty(key, out _);

    /// <summary>Marks a member as looked at without using it.</summary>
    public void Skip(string key) => _read.Add(key);

    /// <summary>The member, or null where it is absent or null.</summary>
    public JsonElement? Find(string key)
    {
        _read.Add(key);
        return _object.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    /// <summary>A string, or null.</summary>
    public string? Text(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } value => throw Wrong(key, value, "a string"),
    };

    /// <summary>True or false.</summary>
    public bool Flag(string key, bool fallback) => Find(key) switch
    {
        null => fallback,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(key, value, "true or false"),
    };

    /// <summary>A whole number, or null.</summary>
    public int? Integer(string key, int lowest, int highest) => Find(key) is { } value ? ToInteger(key, value, lowest, highest) : null;

    /// <summary>A whole number that must be there.</summary>
    public int RequiredInteger(string key, int lowest, int highest) => Integer(key, lowest, highest)
        ?? throw new UserErrorException($"{Source}: \"{Path(key)}\" is missing; it must be a whole number of {Range(lowest, highest)}.");

    /// <summary>A finite number, or null.</summary>
    public double? Number(string key, double lowest, double highest)
    {
        if (Find(key) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= lowest && number <= highest
            ? number
            : throw Wrong(key, value, $"a number of {Range(lowest, highest)}");
    }

    /// <summary>A list of strings, or null.</summary>
    public IReadOnlyList<string>? Texts(string key)
    {
        if (Find(key) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String)
            ? [.. value.EnumerateArray().Select(item => item.GetString()!)]
            : throw Wrong(key, value, "a list of strings");
    }

    /// <summary>A whole number or a list of them; empty where absent.</summary>
    public IReadOnlyList<int> Integers(string key, int lowest, int highest) => Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Select(item => ToInteger(key, item, lowest, highest))],
        { } single => [ToInteger(key, single, lowest, highest)],
    };

    /// <summary>A nested object, or null.</summary>
    public JsonFields? Object(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new JsonFields(value, Source, Path(key) + "."),
        { } value => throw Wrong(key, value, "an object in braces"),
    };

    /// <summary>The error for a value that is not what it should be.</summary>
    public UserErrorException Wrong(string key, JsonElement value, string allowed)
    {
        string text = value.GetRawText();
        text = text.Length > 60 ? text[..60] + "…" : text;
        return new UserErrorException($"{Source}: \"{Path(key)}\" is {text}, allowed is {allowed}.");
    }

    private int ToInteger(string key, JsonElement value, int lowest, int highest)
    {
        // Some writers store whole numbers as 32.0.
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number == Math.Floor(number)
            && number >= lowest && number <= highest
            ? (int)number
            : throw Wrong(key, value, $"a whole number of {Range(lowest, highest)}");
    }

    private static string Range(double lowest, double highest) =>
        string.Create(CultureInfo.InvariantCulture, $"{lowest:G9} to {highest:G9}");
}
