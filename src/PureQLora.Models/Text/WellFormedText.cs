namespace PureQLora.Models;

/// <summary>Strings without lone surrogates, which have no UTF-8 form, and without control characters, for messages.</summary>
internal static class WellFormedText
{
    /// <summary>The text with U+FFFD in place of every lone surrogate; the same string where there is none.</summary>
    public static string Repair(string text)
    {
        int first = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF');
        for (int i = first < 0 ? text.Length : first; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]))
            {
                if (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
                {
                    return ReplaceLone(text);
                }

                i++;
            }
        }

        return text;
    }

    /// <summary>The text with spaces in place of control characters, so that a message which quotes a file stays one line.</summary>
    public static string OneLine(string text) => string.Create(text.Length, text, static (result, source) =>
    {
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = char.IsControl(source[i]) || source[i] is '\u2028' or '\u2029' ? ' ' : source[i];
        }
    });

    private static string ReplaceLone(string text) => string.Create(text.Length, text, static (result, source) =>
    {
        source.CopyTo(result);
        for (int i = 0; i < result.Length; i++)
        {
            if (i + 1 < result.Length && char.IsSurrogatePair(result[i], result[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(result[i]))
            {
                result[i] = '\uFFFD';
            }
        }
    });
}
