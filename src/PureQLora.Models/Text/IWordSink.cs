namespace PureQLora.Models;

/// <summary>Takes words as they are found, so that a long text never becomes a long list.</summary>
internal interface IWordSink
{
    /// <summary>Takes the next word; it is not empty.</summary>
    void Add(in TextSegment word);
}
