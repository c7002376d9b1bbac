using System.Text.Json;

namespace PureQLora.Testing;

/// <summary>The tolerances of a golden.json, and comparisons that name the element that is worst.</summary>
internal sealed class GoldenTolerances
{
    private readonly JsonElement _tolerances;

    private GoldenTolerances(JsonElement root) => (Root, _tolerances) = (root, root.GetProperty("tolerance"));

    /// <summary>The whole file.</summary>
    public JsonElement Root { get; }

    /// <summary>Reads golden.json.</summary>
    public static GoldenTolerances Read(string path)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
        return new GoldenTolerances(document.RootElement.Clone());
    }

    /// <summary>The absolute tolerance of a key.</summary>
    public double Of(string key) => _tolerances.GetProperty(key).GetDouble();

    /// <summary>Compares element by element.</summary>
    /// <param name="key">Names the tolerance.</param>
    /// <param name="expected">The reference.</param>
    /// <param name="actual">Ours.</param>
    /// <param name="what">Named in the message; the key where it is left out.</param>
    public void Check(string key, ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string? what = null) =>
        Near(Of(key), expected, actual, what ?? key);

    /// <summary>Compares one number.</summary>
    public void Check(string key, double expected, double actual) =>
        Assert.True(Math.Abs(expected - actual) <= Of(key), $"{key}: {actual:R} differs from {expected:R} by {Math.Abs(expected - actual):E2}, allowed {Of(key):E2}");

    /// <summary>Compares element by element with an absolute tolerance.</summary>
    public static void Near(double tolerance, ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        (double worst, int at) = (0, 0);
        for (int i = 0; i < expected.Length; i++)
        {
            double difference = Math.Abs((double)expected[i] - actual[i]);
            if (!(difference <= worst))
            {
                (worst, at) = (difference, i);
            }
        }

        Assert.True(worst <= tolerance, $"{what}: element {at} is {actual[at]:R} instead of {expected[at]:R}, off by {worst:E2}, allowed {tolerance:E2}");
    }
}
