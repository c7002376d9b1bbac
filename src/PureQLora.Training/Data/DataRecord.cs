using System.Globalization;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>One JSON object of a data file with its place, for messages. It is valid only while the file is being read.</summary>
public readonly ref struct DataRecord
{
    private readonly JsonElement _fields;

    internal DataRecord(JsonElement fields, string location)
    {
        _fields = fields;
        Location = location;
    }

    /// <summary>File and line, as messages begin.</summary>
    public string Location { get; }

    /// <summary>Whether the record has that field.</summary>
    public bool Has(string name) => _fields.TryGetProperty(name, out _);

    /// <summary>A string field.</summary>
    /// <exception cref="UserErrorException">It is missing or no valid string.</exception>
    public string Text(string name) => Require(name, JsonValueKind.String, "a string").GetString()!;

    /// <summary>A string field with at least one character that is not white space.</summary>
    /// <exception cref="UserErrorException">It is missing, no valid string, or blank.</exception>
    public string NonEmptyText(string name) => Text(name) is { } text && !string.IsNullOrWhiteSpace(text)
        ? text
        : throw new UserErrorException($"{Location}: \"{name}\" is empty. Fill it or remove the record.");

    /// <summary>A number as Python would print it after <c>int</c> where it is whole: 51.0 is <c>51</c>.</summary>
    /// <exception cref="UserErrorException">It is missing, no number, or not finite.</exception>
    public string NumberText(string name)
    {
        JsonElement value = Require(name, JsonValueKind.Number, "a number");
        string raw = value.GetRawText();
        if (raw.AsSpan().IndexOfAny(".eE") < 0)
        {
            return raw;
        }

        double number = value.GetDouble();
        return double.IsFinite(number)
            ? number == Math.Floor(number) && Math.Abs(number) < 1e15 ? ((long)number).ToString(CultureInfo.InvariantCulture) : number.ToString("R", CultureInfo.InvariantCulture)
            : throw new UserErrorException($"{Location}: \"{name}\" is {raw}, which no 64-bit number can hold. Correct it or remove the record.");
    }

    /// <summary>An array of 32-bit integers.</summary>
    /// <exception cref="UserErrorException">It is missing, no array, or holds something else.</exception>
    public int[] Integers(string name)
    {
        JsonElement value = Require(name, JsonValueKind.Array, "an array of integers");
        int[] numbers = new int[value.GetArrayLength()];
        int index = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out numbers[index]))
            {
                throw new UserErrorException($"{Location}: \"{name}\" holds something other than a 32-bit integer at index {index}. Write token ids as plain integers.");
            }

            index++;
        }

        return numbers;
    }

    private JsonElement Require(string name, JsonValueKind kind, string expected)
    {
        if (!_fields.TryGetProperty(name, out JsonElement value))
        {
            throw new UserErrorException($"{Location}: the field \"{name}\" is missing; there {Present()}. Add it or choose the format that fits.");
        }

        return value.ValueKind == kind
            ? value
            : throw new UserErrorException($"{Location}: \"{name}\" is {Describe(value.ValueKind)}, needed is {expected}. Correct the record.");
    }

    private string Present()
    {
        string[] names = [.. _fields.EnumerateObject().Take(6).Select(field => $"\"{LeakGuard.Excerpt(field.Name)}\"")];
        return names.Length == 0 ? "is no field at all" : $"are {string.Join(", ", names)}";
    }

    private static string Describe(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };
}
