namespace PureQLora.Models;

/// <summary>A stretch of text on its way through the pre-tokenizer.</summary>
/// <param name="Text">The string it lies in.</param>
/// <param name="Start">First character.</param>
/// <param name="Length">Number of characters.</param>
/// <param name="IsFirst">Whether it begins where the whole input begins.</param>
internal readonly record struct TextSegment(string Text, int Start, int Length, bool IsFirst)
{
    /// <summary>The characters.</summary>
    public ReadOnlySpan<char> Span => Text.AsSpan(Start, Length);

    /// <summary>A part of this segment, by offsets into <see cref="Span"/>.</summary>
    public TextSegment Slice(int start, int end) => new(Text, Start + start, end - start, IsFirst && start == 0);
}
