using System.Text;

namespace PureQLora.Training;

/// <summary>Texts reduced to what makes them the same problem: no white space, no case, no calculator marks.</summary>
internal static class NormalizedText
{
    /// <summary>The reduced text; equal for two spellings of the same sentences.</summary>
    public static string Of(string text)
    {
        StringBuilder normalized = new(text.Length);
        foreach (char c in CalculatorMarks.Remove(text))
        {
            if (!char.IsWhiteSpace(c))
            {
                normalized.Append(char.ToLowerInvariant(c));
            }
        }

        return normalized.ToString();
    }
}
