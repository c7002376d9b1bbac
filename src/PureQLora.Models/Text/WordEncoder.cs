namespace PureQLora.Models;

/// <summary>The end of a pre-tokenizer: words become ids.</summary>
internal sealed class WordEncoder(BpeModel model, IdBuffer ids) : IWordSink
{
    /// <inheritdoc/>
    public void Add(in TextSegment word) => model.Encode(word.Span, ids);
}
