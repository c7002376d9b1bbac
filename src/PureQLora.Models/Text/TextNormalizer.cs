using System.Text;

namespace PureQLora.Models;

/// <summary>The <c>normalizer</c> of a <c>tokenizer.json</c>: rewrites text before it is cut.</summary>
internal sealed class TextNormalizer
{
    private readonly List<Func<string, string>> _steps = [];

    private TextNormalizer()
    {
    }

    /// <summary>One that brings text into Unicode normalization form C, as Qwen's tokenizer does.</summary>
    public static TextNormalizer FormC()
    {
        TextNormalizer normalizer = new();
        normalizer._steps.Add(text => UnicodeNormalization.Normalize(text, NormalizationForm.FormC));
        return normalizer;
    }

    /// <summary>Reads the part of the file; null gives one that changes nothing.</summary>
    public static TextNormalizer Read(JsonPart? part)
    {
        TextNormalizer normalizer = new();
        if (part is JsonPart given)
        {
            normalizer.ReadStep(given);
        }

        return normalizer;
    }

    /// <summary>Normalizes a text.</summary>
    public string Normalize(string text)
    {
        foreach (Func<string, string> step in _steps)
        {
            text = step(text);
        }

        return text;
    }

    private void ReadStep(JsonPart part)
    {
        string type = part.Required("type").Text();
        switch (type)
        {
            case "Sequence":
                part.AllowOnly("type", "normalizers");
                foreach (JsonPart item in part.Required("normalizers").Items())
                {
                    ReadStep(item);
                }

                return;
            case "Prepend":
                part.AllowOnly("type", "prepend");
                string prefix = part.Required("prepend").Text();
                _steps.Add(text => text.Length == 0 ? text : prefix + text);
                return;
            case "Replace":
                part.AllowOnly("type", "pattern", "content");
                TextPattern pattern = TextPattern.Read(part.Required("pattern"));
                string content = part.Required("content").Text();
                _steps.Add(text => pattern.Replace(text, content));
                return;
            case "Strip":
                part.AllowOnly("type", "strip_left", "strip_right");
                (bool left, bool right) = (part.Flag("strip_left", true), part.Flag("strip_right", true));
                _steps.Add(text => right ? (left ? text.Trim() : text.TrimEnd()) : (left ? text.TrimStart() : text));
                return;
        }

        part.AllowOnly("type");
        _steps.Add(type switch
        {
            "NFC" => text => UnicodeNormalization.Normalize(text, NormalizationForm.FormC),
            "NFD" => text => UnicodeNormalization.Normalize(text, NormalizationForm.FormD),
            "NFKC" => text => UnicodeNormalization.Normalize(text, NormalizationForm.FormKC),
            "NFKD" => text => UnicodeNormalization.Normalize(text, NormalizationForm.FormKD),
            "Lowercase" => ToLower,
            "StripAccents" => StripAccents,
            _ => throw part.Error($"has the type '{type}', which is not supported; known are Sequence, Prepend, Replace, Strip, NFC, NFD, NFKC, NFKD, Lowercase and StripAccents"),
        });
    }

    private static string ToLower(string text)
    {
        // The one code point whose lower case is two, and that the invariant culture leaves alone.
        return text.ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);
    }

    private static string StripAccents(string text)
    {
        StringBuilder result = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (!CharacterClasses.IsMark(rune))
            {
                result.Append(rune.ToString());
            }
        }

        return result.ToString();
    }
}
