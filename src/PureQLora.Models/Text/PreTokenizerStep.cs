namespace PureQLora.Models;

/// <summary>One step of a pre-tokenizer: cuts a segment into smaller ones, or rewrites it.</summary>
internal abstract class PreTokenizerStep
{
    /// <summary>Hands on the parts of a segment in order; empty parts are left out.</summary>
    public abstract void Split(in TextSegment segment, IWordSink parts);
}
