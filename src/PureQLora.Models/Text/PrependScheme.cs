namespace PureQLora.Models;

/// <summary>Where Metaspace puts a mark before the text; the names are those of <c>tokenizer.json</c>.</summary>
internal enum PrependScheme
{
    /// <summary>Nowhere.</summary>
    Never,

    /// <summary>Only where the whole input begins, not after a special token.</summary>
    First,

    /// <summary>Before every part between special tokens.</summary>
    Always,
}
