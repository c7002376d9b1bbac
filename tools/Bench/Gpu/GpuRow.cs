namespace PureQLora.Tools.Bench;

/// <summary>A result of a part: figures of one case, or a sentence.</summary>
/// <param name="Case">What was done, such as <c>4096 × 4096, 1024 rows</c>; the sentence where there are no figures.</param>
/// <param name="Figures">By name with unit, such as <c>ms</c>.</param>
internal sealed record GpuRow(string Case, IReadOnlyDictionary<string, double> Figures)
{
    /// <summary>A sentence, such as why something is missing.</summary>
    public static GpuRow Note(string sentence) => new(sentence, new Dictionary<string, double>());

    /// <summary>Figures in the order of the columns.</summary>
    public static GpuRow Of(string name, params IEnumerable<(string Name, double? Value)> figures) =>
        new(name, figures.Where(figure => figure.Value is not null).ToDictionary(figure => figure.Name, figure => figure.Value!.Value));
}
