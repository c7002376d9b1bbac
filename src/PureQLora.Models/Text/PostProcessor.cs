namespace PureQLora.Models;

/// <summary>The <c>post_processor</c> of a <c>tokenizer.json</c>: the special tokens around a single text.</summary>
internal static class PostProcessor
{
    /// <summary>Reads the ids before and after a text.</summary>
    /// <param name="part">The part of the file, or null.</param>
    /// <param name="vocabularySize">Ids are below this.</param>
    public static (int[] Prefix, int[] Suffix) Read(JsonPart? part, int vocabularySize)
    {
        List<int> prefix = [];
        List<int> suffix = [];
        if (part is JsonPart given)
        {
            ReadStep(given, vocabularySize, prefix, suffix);
        }

        return ([.. prefix], [.. suffix]);
    }

    private static void ReadStep(JsonPart part, int vocabularySize, List<int> prefix, List<int> suffix)
    {
        string type = part.Required("type").Text();
        switch (type)
        {
            case "Sequence":
                part.AllowOnly("type", "processors");
                foreach (JsonPart item in part.Required("processors").Items())
                {
                    ReadStep(item, vocabularySize, prefix, suffix);
                }

                break;
            case "ByteLevel":       // moves offsets only
                part.AllowOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
                break;
            case "TemplateProcessing":
                (List<int> before, List<int> after) = ReadTemplate(part, vocabularySize);
                prefix.InsertRange(0, before);
                suffix.AddRange(after);
                break;
            default:
                throw part.Error($"has the type '{type}', which is not supported; known are Sequence, ByteLevel and TemplateProcessing");
        }
    }

    private static (List<int> Before, List<int> After) ReadTemplate(JsonPart part, int vocabularySize)
    {
        part.AllowOnly("type", "single", "pair", "special_tokens");
        JsonPart single = part.Required("single");
        List<int> before = [];
        List<int> after = [];
        int sequences = 0;
        foreach (JsonPart item in single.Items())
        {
            item.AllowOnly("SpecialToken", "Sequence");
            if (item.Optional("SpecialToken") is JsonPart special)
            {
                (sequences == 0 ? before : after).AddRange(ReadIds(part, special.Required("id"), vocabularySize));
            }
            else
            {
                JsonPart id = item.Required("Sequence").Required("id");
                sequences += id.Text() == "A" ? 1 : throw id.Error($"is '{id.Text()}', allowed in a single text is A");
            }
        }

        return sequences == 1 ? (before, after) : throw single.Error($"holds the text {sequences} times, allowed is once");
    }

    private static IEnumerable<int> ReadIds(JsonPart template, JsonPart token, int vocabularySize)
    {
        JsonPart entry = template.Required("special_tokens").Required(token.Text());
        return entry.Required("ids").Items().Select(id => id.Integer(0, vocabularySize - 1));
    }
}
