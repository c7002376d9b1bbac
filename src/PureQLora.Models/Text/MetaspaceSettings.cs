namespace PureQLora.Models;

/// <summary>What the Metaspace pre-tokenizer and the Metaspace decoder have in common.</summary>
internal static class MetaspaceSettings
{
    /// <summary>Reads the mark and where it is put before the text; files from before <c>prepend_scheme</c> say <c>add_prefix_space</c>.</summary>
    public static (char Mark, PrependScheme Scheme) Read(JsonPart part)
    {
        string mark = part.OptionalText("replacement") ?? BpeModel.SpaceMark.ToString();
        if (mark.Length != 1 || char.IsSurrogate(mark[0]))
        {
            throw part.Error($"has the replacement '{mark}', allowed is one character below U+10000");
        }

        bool prefix = part.Flag("add_prefix_space", true);
        PrependScheme scheme = part.OptionalText("prepend_scheme") switch
        {
            null => prefix ? PrependScheme.Always : PrependScheme.Never,
            "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            "never" => PrependScheme.Never,
            string other => throw part.Error($"has the prepend_scheme '{other}', allowed are always, first and never"),
        };
        return prefix || scheme == PrependScheme.Never
            ? (mark[0], scheme)
            : throw part.Error("has add_prefix_space false but a prepend_scheme other than never; one of them is wrong");
    }
}
