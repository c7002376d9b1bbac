using System.Text.Json;

namespace PureQLora.Tools.Tests;

/// <summary>A golden folder's values with their tolerances.</summary>
internal sealed class GoldenModel
{
    private readonly JsonElement _tolerance;

    public GoldenModel(params string[] parts)
    {
        Folder = RepositoryPaths.Fixture(["models", .. parts]);
        Values = GoldenTensors.Read(Path.Combine(Folder, "golden.safetensors"));
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "golden.json")));
        _tolerance = document.RootElement.GetProperty("tolerance").Clone();
    }

    public string Folder { get; }

    public GoldenTensors Values { get; }

    /// <summary>An integer matrix as the JSON that the tools read.</summary>
    public string Rows(string key)
    {
        int length = (int)Values.Shape(key)[1];
        return JsonSerializer.Serialize(Values.Ints(key).Chunk(length).ToArray());
    }

    public void ShouldEqual(string key, float[] actual, string toleranceKey)
    {
        double tolerance = _tolerance.GetProperty(toleranceKey).GetDouble();
        float[] expected = Values.Floats(key);
        Assert.Equal(expected.Length, actual.Length);
        double worst = expected.Zip(actual, (e, a) => Math.Abs((double)e - a)).Max();
        Assert.True(worst <= tolerance, $"{key}: off by {worst:E2}, allowed {tolerance:E2}");
    }
}
