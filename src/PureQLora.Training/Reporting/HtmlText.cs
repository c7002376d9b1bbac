using System.Net;
using System.Text;

namespace PureQLora.Training;

/// <summary>Text for elements and attributes of a page. Everything in a report may come from strangers: models, data, file names.</summary>
internal static class HtmlText
{
    /// <summary>Escapes markup and replaces what HTML cannot hold.</summary>
    public static string Encode(string text)
    {
        StringBuilder visible = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            // Control characters are no HTML; halves of surrogate pairs are already U+FFFD here.
            visible.Append(rune.Value < 32 && rune.Value is not ('\n' or '\t' or '\r') ? "\uFFFD" : rune.ToString());
        }

        return WebUtility.HtmlEncode(visible.ToString());
    }
}
