using System.Globalization;
using System.Text;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>Writes a <see cref="RunReport"/> as one self-contained HTML file: no scripts, nothing loaded from anywhere, light or dark as the reader's system.</summary>
public static class HtmlReport
{
    private const string Style = """
        :root { color-scheme: light dark; --text: #1c2024; --soft: #60646c; --page: #fcfcfd; --card: #ffffff; --edge: #e0e1e6; --accent: #3e63dd; --good: #18794e; --bad: #cd2b31; }
        @media (prefers-color-scheme: dark) { :root { --text: #edeef0; --soft: #b0b4ba; --page: #111113; --card: #18191b; --edge: #363a3f; --accent: #849dff; --good: #3dd68c; --bad: #ff9592; } }
        body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
        h1 { margin-bottom: .5rem; } h2 { margin: 2rem 0 .75rem; font-size: 1.2rem; } h3 { margin: 0 0 .5rem; font-size: 1rem; }
        section.card, article { background: var(--card); border: 1px solid var(--edge); border-radius: .5rem; padding: 1rem; margin: 0 0 1rem; overflow-x: auto; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; } dt { color: var(--soft); } dd { margin: 0; }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; } th, td { padding: .4rem .75rem; text-align: right; border-bottom: 1px solid var(--edge); }
        th:first-child, td:first-child { text-align: left; } thead th { color: var(--soft); font-weight: 600; } tbody tr:last-child td { border-bottom: 0; } .scores tbody tr:last-child td { font-weight: 600; }
        pre { margin: .25rem 0 .75rem; white-space: pre-wrap; overflow-wrap: anywhere; font: 14px/1.5 ui-monospace, monospace; } .label { color: var(--soft); font-size: .85rem; }
        .good { color: var(--good); } .bad { color: var(--bad); } .error { color: var(--soft); font-size: .85em; } .empty { color: var(--soft); }
        svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; } svg text { fill: var(--soft); } .grid { stroke: var(--edge); stroke-width: 1; }
        path { fill: none; stroke: var(--accent); stroke-linejoin: round; } .line { stroke-width: 2; } .raw { stroke-width: 1; opacity: .35; }
        """;

    /// <summary>Writes the file under a temporary name and renames it, so that no reader meets half of it.</summary>
    /// <exception cref="UserErrorException">It cannot be written.</exception>
    public static void Write(string path, RunReport report)
    {
        string temporary = path + ".tmp";
        try
        {
            File.WriteAllText(temporary, Render(report), new UTF8Encoding(false));
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"Cannot write the report {path}: {exception.Message} Free some space or choose another output folder.", exception);
        }
    }

    /// <summary>The page.</summary>
    public static string Render(RunReport report)
    {
        StringBuilder page = new();
        page.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
            .Append("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n")
            .Append(Invariant, $"<title>{HtmlText.Encode(report.Title)}</title>\n<style>\n{Style}\n</style>\n</head>\n<body>\n<h1>{HtmlText.Encode(report.Title)}</h1>\n");
        AppendFacts(page, report.Facts);
        AppendScores(page, report.Scores);
        foreach (ReportTable table in report.Tables)
        {
            AppendTable(page, table);
        }

        foreach (ReportCurve curve in report.Curves)
        {
            page.Append(Invariant, $"<section class=\"card\"><h3>{HtmlText.Encode(curve.Name)}</h3>\n{SvgChart.Render(curve)}</section>\n");
        }

        AppendMemory(page, report.Memory);
        AppendSamples(page, report.Samples);
        if (report.Recipe is not null)
        {
            page.Append(Invariant, $"<h2>Recipe</h2>\n<section class=\"card\"><pre>{HtmlText.Encode(report.Recipe)}</pre></section>\n");
        }

        return page.Append("</body>\n</html>\n").ToString();
    }

    private static CultureInfo Invariant => CultureInfo.InvariantCulture;

    private static void AppendFacts(StringBuilder page, IReadOnlyList<KeyValuePair<string, string>> facts)
    {
        if (facts.Count == 0)
        {
            return;
        }

        page.Append("<section class=\"card\"><dl>\n");
        foreach ((string name, string value) in facts)
        {
            page.Append(Invariant, $"<dt>{HtmlText.Encode(name)}</dt><dd>{HtmlText.Encode(value)}</dd>\n");
        }

        page.Append("</dl></section>\n");
    }

    private static void AppendScores(StringBuilder page, IReadOnlyList<ReportScore> scores)
    {
        if (scores.Count == 0)
        {
            return;
        }

        string[] tasks = [.. scores.Select(score => score.Task).Distinct()];
        page.Append("<h2>Exact match</h2>\n<section class=\"card\"><table class=\"scores\">\n<thead><tr><th>model</th>");
        foreach (string task in tasks)
        {
            page.Append(Invariant, $"<th>{HtmlText.Encode(task)}</th>");
        }

        page.Append("</tr></thead>\n<tbody>\n");
        foreach (IGrouping<string, ReportScore> row in scores.GroupBy(score => score.Stage))
        {
            page.Append(Invariant, $"<tr><td>{HtmlText.Encode(row.Key)}</td>");
            foreach (string task in tasks)
            {
                page.Append(Invariant, $"<td>{Cell(row.LastOrDefault(score => score.Task == task)?.Accuracy)}</td>");
            }

            page.Append("</tr>\n");
        }

        page.Append("</tbody></table></section>\n");
    }

    private static string Cell(Accuracy? accuracy)
    {
        if (accuracy is null)
        {
            return "–";
        }

        string error = accuracy.StandardError is { } standard ? string.Create(Invariant, $" ± {100 * standard:0.0}") : "";
        return string.Create(Invariant, $"{100 * accuracy.Mean:0.0} % <span class=\"error\">{error} ({accuracy.Correct}/{accuracy.Count})</span>");
    }

    private static void AppendTable(StringBuilder page, ReportTable table)
    {
        page.Append(Invariant, $"<h2>{HtmlText.Encode(table.Heading)}</h2>\n<section class=\"card\"><table>\n<thead><tr>");
        foreach (string column in table.Columns)
        {
            page.Append(Invariant, $"<th>{HtmlText.Encode(column)}</th>");
        }

        page.Append("</tr></thead>\n<tbody>\n");
        foreach (IReadOnlyList<string> row in table.Rows)
        {
            page.Append("<tr>");
            foreach (string cell in row)
            {
                page.Append(Invariant, $"<td>{HtmlText.Encode(cell)}</td>");
            }

            page.Append("</tr>\n");
        }

        page.Append("</tbody></table></section>\n");
    }

    private static void AppendMemory(StringBuilder page, IReadOnlyList<ReportMemory> memory)
    {
        if (memory.Count == 0)
        {
            return;
        }

        page.Append("<h2>Memory</h2>\n<section class=\"card\"><table>\n<thead><tr><th>use</th><th>MiB</th></tr></thead>\n<tbody>\n");
        foreach (ReportMemory row in memory)
        {
            page.Append(Invariant, $"<tr><td>{HtmlText.Encode(row.Name)}</td><td>{row.Bytes / 1048576.0:0.0}</td></tr>\n");
        }

        page.Append("</tbody></table></section>\n");
    }

    private static void AppendSamples(StringBuilder page, IReadOnlyList<ReportSample> samples)
    {
        if (samples.Count == 0)
        {
            return;
        }

        page.Append("<h2>Samples</h2>\n");
        foreach (ReportSample sample in samples)
        {
            page.Append(Invariant, $"<article><pre>{HtmlText.Encode(sample.Question)}</pre>\n<div class=\"label\">reference</div><pre>{HtmlText.Encode(sample.Reference)}</pre>\n");
            if (sample.Before is not null)
            {
                page.Append(Invariant, $"<div class=\"label\">before {Mark(sample.BeforeCorrect)}</div><pre>{HtmlText.Encode(sample.Before)}</pre>\n");
            }

            page.Append(Invariant, $"<div class=\"label\">after {Mark(sample.AfterCorrect)}</div><pre>{HtmlText.Encode(sample.After)}</pre></article>\n");
        }
    }

    private static string Mark(bool correct) => correct ? "<span class=\"good\">✓ right</span>" : "<span class=\"bad\">✗ wrong</span>";
}
