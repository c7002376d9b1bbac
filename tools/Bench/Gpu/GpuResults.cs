using System.Globalization;
using System.Text;
using System.Text.Json;

namespace PureQLora.Tools.Bench;

/// <summary>What the benchmark has found so far, as JSON and as Markdown, written anew with every result.</summary>
/// <param name="folder">Where to write.</param>
/// <param name="gpu">The GPU in words.</param>
/// <param name="driver">The driver's version.</param>
internal sealed class GpuResults(string folder, string gpu, string driver)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly List<(GpuPart Part, List<GpuRow> Rows)> _parts = [];

    /// <summary>Begins a part.</summary>
    public void Begin(GpuPart part)
    {
        _parts.Add((part, []));
        Write();
    }

    /// <summary>Adds a result to the latest part.</summary>
    public void Add(GpuRow row)
    {
        _parts[^1].Rows.Add(row);
        Write();
    }

    /// <summary>The text of the Markdown file.</summary>
    public string ToMarkdown()
    {
        StringBuilder text = new();
        text.AppendLine(Invariant($"# PureQLora on {gpu}")).AppendLine().AppendLine(Invariant($"Driver {driver}; {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC."));
        foreach ((GpuPart part, List<GpuRow> rows) in _parts)
        {
            text.AppendLine().AppendLine(Invariant($"## {part.Title}")).AppendLine();
            AppendTable(text, [.. rows.Where(row => row.Figures.Count > 0)]);
            foreach (GpuRow row in rows.Where(row => row.Figures.Count == 0))
            {
                text.AppendLine(Invariant($"- {Plain(row.Case)}"));
            }
        }

        return text.ToString();
    }

    private static void AppendTable(StringBuilder text, List<GpuRow> rows)
    {
        if (rows.Count == 0)
        {
            return;
        }

        string[] columns = [.. rows.SelectMany(row => row.Figures.Keys).Distinct()];
        text.AppendLine(Invariant($"| | {string.Join(" | ", columns)} |"));
        text.AppendLine(Invariant($"|---|{string.Concat(Enumerable.Repeat("---|", columns.Length))}"));
        foreach (GpuRow row in rows)
        {
            IEnumerable<string> cells = columns.Select(column => row.Figures.TryGetValue(column, out double value) ? Number(value) : "");
            text.AppendLine(Invariant($"| {Plain(row.Case)} | {string.Join(" | ", cells)} |"));
        }

        text.AppendLine();
    }

    /// <summary>A bar would end the cell.</summary>
    private static string Plain(string text) => text.Replace('|', '/');

    private static string Number(double value) =>
        value.ToString(Math.Abs(value) >= 1000 || value == Math.Floor(value) ? "N0" : Math.Abs(value) >= 10 ? "F1" : "F3", CultureInfo.InvariantCulture);

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    private void Write()
    {
        string json = JsonSerializer.Serialize(
            new { gpu, driver, parts = _parts.Select(entry => new { name = entry.Part.Name, title = entry.Part.Title, results = entry.Rows }) }, Indented);
        Replace("results.json", json);
        Replace("results.md", ToMarkdown());
    }

    /// <summary>Whoever reads meanwhile finds the old file or the new one.</summary>
    private void Replace(string name, string text)
    {
        string path = Path.Combine(folder, name);
        File.WriteAllText(path + ".tmp", text);
        File.Move(path + ".tmp", path, overwrite: true);
    }
}
