namespace PureQLora.Models;

/// <summary>Puts a space before a segment that does not begin with one (<c>add_prefix_space</c> of ByteLevel).</summary>
internal sealed class PrefixSpaceStep : PreTokenizerStep
{
    /// <inheritdoc/>
    public override void Split(in TextSegment segment, IWordSink parts)
    {
        ReadOnlySpan<char> text = segment.Span;
        parts.Add(text[0] == ' ' ? segment : new TextSegment($" {text}", 0, text.Length + 1, segment.IsFirst));
    }
}
