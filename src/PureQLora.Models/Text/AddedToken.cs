namespace PureQLora.Models;

/// <summary>A token that is found in the text before merging, as <c>added_tokens</c> lists it.</summary>
/// <param name="Id">Id.</param>
/// <param name="Content">Spelling.</param>
/// <param name="IsSpecial">Only found when special tokens are parsed; left out when special tokens are skipped.</param>
/// <param name="IsNormalized">Looked for in normalized text, and not in the text as it came.</param>
/// <param name="SingleWord">Only found where no word character touches it.</param>
/// <param name="StripLeft">Takes the white space before it along.</param>
/// <param name="StripRight">Takes the white space after it along.</param>
internal sealed record AddedToken(int Id, string Content, bool IsSpecial, bool IsNormalized, bool SingleWord, bool StripLeft, bool StripRight)
{
    /// <summary>A special token without further conditions.</summary>
    public static AddedToken Special(int id, string content) => new(id, content, true, false, false, false, false);

    /// <summary>Reads one element of <c>added_tokens</c>.</summary>
    public static AddedToken Read(JsonPart part)
    {
        part.AllowOnly("id", "content", "special", "normalized", "single_word", "lstrip", "rstrip");
        JsonPart content = part.Required("content");
        return new AddedToken(
            part.Required("id").Integer(0, Vocabulary.MaxSize - 1),
            content.Text() is { Length: > 0 } text ? text : throw content.Error("is empty, allowed is the spelling of a token"),
            part.Flag("special", false),
            part.Flag("normalized", !part.Flag("special", false)),
            part.Flag("single_word", false),
            part.Flag("lstrip", false),
            part.Flag("rstrip", false));
    }
}
