namespace PureQLora.Models;

/// <summary>Kind of a piece, numbered as in <c>sentencepiece_model.proto</c>.</summary>
internal enum SentencePieceType
{
    /// <summary>Takes part in merging.</summary>
    Normal = 1,

    /// <summary>Stands for what the vocabulary cannot spell.</summary>
    Unknown = 2,

    /// <summary>Never comes from text, and gives none (BOS, EOS).</summary>
    Control = 3,

    /// <summary>Always cut out of the text whole.</summary>
    UserDefined = 4,

    /// <summary>Merged on the way and then taken apart again.</summary>
    Unused = 5,

    /// <summary>One byte, spelled <c>&lt;0x41&gt;</c>.</summary>
    Byte = 6,
}
