using System.Text.Json;

namespace PureQLora.Training.Tests;

/// <summary>Golden values that travel with the project.</summary>
internal static class Golden
{
    public static JsonElement Load(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("text", name)));
        return document.RootElement.Clone();
    }

    public static JsonElement[] Cases(string name) => [.. Load(name).GetProperty("cases").EnumerateArray()];

    public static int[] Integers(this JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetInt32())];

    public static string Text(this JsonElement element, string name) => element.GetProperty(name).GetString()!;
}
