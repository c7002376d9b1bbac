using System.Globalization;
using System.Xml.Linq;
using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed class HtmlReportTests
{
    private const string Hostile = "<script>alert(\"x\")</script> & 'quoted' \0\u0007 \ud800";

    [Fact]
    public void Render_GivenAWholeRun_ShouldShowEverything()
    {
        string page = HtmlReport.Render(Sample("runs & co"));
        Assert.StartsWith("<!DOCTYPE html>", page, StringComparison.Ordinal);
        Assert.Contains("<title>runs &amp; co</title>", page, StringComparison.Ordinal);
        Assert.Contains("<dt>device</dt><dd>cpu</dd>", page, StringComparison.Ordinal);
        Assert.Contains("<th>old families</th><th>unseen family</th>", page, StringComparison.Ordinal);
        Assert.Contains("76.0 % <span class=\"error\"> ± 3.0 (152/200)</span>", page, StringComparison.Ordinal);
        Assert.Contains("<td>LoRA</td><td>–</td>", page, StringComparison.Ordinal);
        Assert.Contains("<td>weights</td><td>10.5</td>", page, StringComparison.Ordinal);
        Assert.Contains("✓ right", page, StringComparison.Ordinal);
        Assert.Contains("✗ wrong", page, StringComparison.Ordinal);
        Assert.Contains("&quot;rank&quot;: 8", page, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme: dark", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_GivenHostileText_ShouldEscapeItEverywhere()
    {
        string page = HtmlReport.Render(Sample(Hostile));
        Assert.DoesNotContain("<script", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("\0", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http", page.Replace("http-equiv", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase);

        // The body is well-formed, so nothing broke out of its element or attribute.
        string body = page[page.IndexOf("<body>", StringComparison.Ordinal)..page.IndexOf("</html>", StringComparison.Ordinal)];
        XElement parsed = XElement.Parse(body.Replace("&nbsp;", " ", StringComparison.Ordinal), LoadOptions.PreserveWhitespace);
        Assert.Equal(9, parsed.DescendantsAndSelf().SelectMany(e => e.Nodes().OfType<XText>()).Count(text => text.Value.Contains("alert(\"x\")", StringComparison.Ordinal)));
    }

    [Fact]
    public void Render_GivenAnEmptyRun_ShouldStillBeAPage() => Assert.Contains("</html>", HtmlReport.Render(new() { Title = "empty" }), StringComparison.Ordinal);

    [Theory]
    [InlineData(0, 1)]
    [InlineData(5, 5)]
    [InlineData(0, 0)]
    [InlineData(-3, 1e-9)]
    [InlineData(1e-300, 2e-300)]
    [InlineData(-1e308, 1e308)]
    [InlineData(double.MaxValue, double.MaxValue)]
    [InlineData(1, 1.0000000000000002)]
    [InlineData(0, double.Epsilon)]
    [InlineData(0, 162)]
    public void Ticks_GivenAnyRange_ShouldEncloseItWithFewNumbers(double least, double most)
    {
        double[] ticks = SvgChart.Ticks(least, most, 6);
        Assert.InRange(ticks.Length, 2, 13);
        Assert.All(ticks, tick => Assert.True(double.IsFinite(tick)));
        Assert.True(ticks[0] < ticks[^1] && (double.IsInfinity(most - least) || most == double.MaxValue || (ticks[0] <= least && ticks[^1] >= most)), string.Join(' ', ticks));
    }

    [Fact]
    public void Ticks_GivenACommonRange_ShouldBeRound() => Assert.Equal([0, 0.5, 1, 1.5, 2, 2.5], SvgChart.Ticks(0.1, 2.4, 6));

    [Fact]
    public void Render_GivenALongCurveWithASpikeAndGaps_ShouldKeepTheSpikeAndStayShort()
    {
        (double, double)[] points = [.. Enumerable.Range(0, 100_000).Select(i => ((double)i, i == 77_777 ? 9.0 : i % 1000 == 0 ? double.NaN : 1.0))];
        XElement svg = XElement.Parse(SvgChart.Render(new("loss", points, Noisy: true)));
        string path = svg.Elements("path").First().Attribute("d")!.Value;
        Assert.InRange(path.Length, 1000, 40_000);
        double top = path.Split('M', 'L').Where(p => p.Length > 0).Min(p => double.Parse(p.Split(' ')[1], CultureInfo.InvariantCulture));
        Assert.InRange(top, 12, 40);
        Assert.Single(XElement.Parse(SvgChart.Render(new("rate", points))).Elements("path"));
        Assert.Equal(["raw", "line"], svg.Elements("path").Select(p => p.Attribute("class")!.Value));
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Render_GivenNothingFinite_ShouldSaySo(double value) => Assert.Contains("No values", SvgChart.Render(new("x", [(0, value)])), StringComparison.Ordinal);

    [Fact]
    public void Write_GivenAFolderThatIsNotThere_ShouldSayWhich()
    {
        string folder = Directory.CreateTempSubdirectory("report").FullName;
        HtmlReport.Write(Path.Combine(folder, "report.html"), Sample("t"));
        Assert.Equal(["report.html"], Directory.GetFiles(folder).Select(Path.GetFileName));
        Assert.Throws<UserErrorException>(() => HtmlReport.Write(Path.Combine(folder, "absent", "report.html"), Sample("t")));
        Directory.Delete(folder, recursive: true);
    }

    private static RunReport Sample(string text) => new()
    {
        Title = text,
        Facts = [new("device", "cpu"), new("model", text)],
        Scores =
        [
            new(text, "old families", Accuracy.Of(190, 200)),
            new(text, "unseen family", Accuracy.Of(3, 200)),
            new("LoRA", "unseen family", Accuracy.Of(152, 200)),
        ],
        Curves = [new(text, [.. Enumerable.Range(0, 200).Select(i => ((double)i, 2.0 / (1 + i)))]), new("learning rate", [(0, 0), (1, 2e-4), (2, 1e-4)])],
        Memory = [new("weights", 11_010_048), new(text, 1)],
        Samples = [new(text, text, text, false, text, true)],
        Recipe = "{ \"rank\": 8 }",
    };
}
