using System.Text;

namespace PureQLora.Models;

internal static class UnicodeNormalization
{
    public static string Normalize(string text, NormalizationForm form) => text.Normalize(form);
}
