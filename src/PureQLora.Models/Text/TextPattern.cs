namespace PureQLora.Models;

/// <summary>Something to look for in a text.</summary>
internal abstract class TextPattern
{
    /// <summary>Appends all matches from left to right, without overlap, as offsets [Start, End).</summary>
    public abstract void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches);

    /// <summary>Replaces every match.</summary>
    public virtual string Replace(string text, string replacement)
    {
        List<(int Start, int End)> matches = [];
        Find(text, matches);
        if (matches.Count == 0)
        {
            return text;
        }

        System.Text.StringBuilder result = new();
        int done = 0;
        foreach ((int start, int end) in matches)
        {
            result.Append(text, done, start - done).Append(replacement);
            done = end;
        }

        return result.Append(text, done, text.Length - done).ToString();
    }

    /// <summary>Reads <c>{"String": …}</c>, <c>{"Regex": …}</c> or a plain string.</summary>
    public static TextPattern Read(JsonPart part)
    {
        if (part.Element.ValueKind == System.Text.Json.JsonValueKind.String)
        {
            return new LiteralPattern(ReadLiteral(part));
        }

        part.AllowOnly("String", "Regex");
        return part.Optional("Regex") is JsonPart regex
            ? RegexPattern.Create(regex.Text(), regex)
            : new LiteralPattern(ReadLiteral(part.Required("String")));
    }

    private static string ReadLiteral(JsonPart part) => part.Text() is { Length: > 0 } text ? text : throw part.Error("is empty, allowed is a string to look for");
}
