using System.Globalization;
using System.Text;
using System.Xml.Linq;

namespace PureQLora.Training;

/// <summary>Charts one below the other in an SVG file of their own, as a page or a Markdown text can show it.</summary>
public static class SvgFile
{
    private const int Heading = 28;
    private const string Style = """
        svg { font: 12px system-ui, sans-serif; background: #ffffff; } text { fill: #60646c; } .heading { fill: #1c2024; font-size: 14px; }
        .grid { stroke: #e0e1e6; stroke-width: 1; } path { fill: none; stroke: #3e63dd; stroke-linejoin: round; } .line { stroke-width: 2; } .raw { stroke-width: 1; opacity: .35; }
        """;

    /// <summary>Writes the file.</summary>
    /// <param name="path">Replaced if it is there.</param>
    /// <param name="curves">Each with a finite value; its name becomes the heading.</param>
    public static void Write(string path, IReadOnlyList<ReportCurve> curves)
    {
        ArgumentNullException.ThrowIfNull(curves);
        const int Stride = SvgChart.Height + Heading;
        StringBuilder svg = new();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {SvgChart.Width} {curves.Count * Stride}\" width=\"{SvgChart.Width}\">\n<style>{Style}</style>\n");
        for (int i = 0; i < curves.Count; i++)
        {
            // A chart scales with the page it stands in; here it gets its place and size.
            XElement chart = XElement.Parse(SvgChart.Render(curves[i]));
            chart.SetAttributeValue("y", (i * Stride) + Heading);
            chart.SetAttributeValue("width", SvgChart.Width);
            chart.SetAttributeValue("height", SvgChart.Height);
            svg.Append(CultureInfo.InvariantCulture, $"<text class=\"heading\" x=\"12\" y=\"{(i * Stride) + 20}\">{HtmlText.Encode(curves[i].Name)}</text>\n{chart.ToString(SaveOptions.DisableFormatting)}\n");
        }

        File.WriteAllText(path, svg.Append("</svg>\n").ToString());
    }
}
