namespace PureQLora.Models;

/// <summary>Text as the pieces of a SentencePiece model spell it: spaces escaped, trimmed and prefixed as the model says.</summary>
/// <remarks>The order of the steps is that of <c>Normalizer::Normalize</c> of google/sentencepiece.</remarks>
internal sealed class SentencePieceNormalizer
{
    private readonly SentencePieceModel _model;
    private readonly TokenTrie _userDefined;
    private readonly char _space;

    public SentencePieceNormalizer(SentencePieceModel model, TokenTrie userDefined)
    {
        _model = model;
        _userDefined = userDefined;
        _space = model.EscapeWhitespaces ? BpeModel.SpaceMark : ' ';
    }

    /// <summary>Normalizes a text.</summary>
    /// <param name="text">Text without lone surrogates.</param>
    /// <param name="prefix">Whether it may get the dummy prefix.</param>
    /// <param name="result">Takes the result, which is at most one character longer.</param>
    /// <returns>Length of the result.</returns>
    public int Normalize(ReadOnlySpan<char> text, bool prefix, Span<char> result)
    {
        bool trim = _model.RemoveExtraWhitespaces;
        int start = 0;
        if (trim)
        {
            while (start < text.Length && text[start] == ' ' && MatchUserDefined(text[start..]) <= 1)
            {
                start++;
            }
        }

        if (start == text.Length)
        {
            return 0;
        }

        int length = 0;
        if (prefix && _model.AddDummyPrefix)
        {
            result[length++] = _space;
        }

        if (trim)
        {
            return AppendWithoutExtraSpaces(text[start..], result, length);
        }

        text.Replace(result[length..], ' ', _space);
        return length + text.Length;
    }

    private int AppendWithoutExtraSpaces(ReadOnlySpan<char> text, Span<char> result, int length)
    {
        // A user-defined piece is taken over whole: only spaces at its beginning go, and only after a space.
        bool afterSpace = true;
        while (!text.IsEmpty)
        {
            int taken = Math.Max(1, MatchUserDefined(text));
            ReadOnlySpan<char> part = afterSpace ? text[..taken].TrimStart(' ') : text[..taken];
            part.Replace(result[length..], ' ', _space);
            length += part.Length;
            afterSpace = part.IsEmpty ? afterSpace : part[^1] == ' ';
            text = text[taken..];
        }

        while (length > 0 && result[length - 1] == _space)
        {
            length--;
        }

        return length;
    }

    private int MatchUserDefined(ReadOnlySpan<char> text) => _userDefined.TryMatch(text, out int length, out _) ? length : 0;
}
