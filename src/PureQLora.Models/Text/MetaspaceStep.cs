namespace PureQLora.Models;

/// <summary>Spells spaces as a mark, puts one before the text, and cuts before every mark.</summary>
/// <param name="mark">The mark, usually U+2581.</param>
/// <param name="scheme">Where a mark is put before the text.</param>
/// <param name="split">Whether to cut.</param>
internal sealed class MetaspaceStep(char mark, PrependScheme scheme, bool split) : PreTokenizerStep
{
    private readonly SplitStep _cut = new(new LiteralPattern(mark.ToString()), SplitBehavior.MergedWithNext);

    /// <inheritdoc/>
    public override void Split(in TextSegment segment, IWordSink parts)
    {
        string text = segment.Span.ToString().Replace(' ', mark);
        bool prepend = scheme == PrependScheme.Always || (scheme == PrependScheme.First && segment.IsFirst);
        text = prepend && !text.StartsWith(mark) ? mark + text : text;
        TextSegment whole = new(text, 0, text.Length, segment.IsFirst);
        if (split)
        {
            _cut.Split(whole, parts);
        }
        else
        {
            parts.Add(whole);
        }
    }
}
