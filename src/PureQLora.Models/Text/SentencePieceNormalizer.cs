using System.Text;

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
    public string Normalize(string text, bool prefix)
    {
        bool trim = _model.RemoveExtraWhitespaces;
        int start = 0;
        if (trim)
        {
            while (start < text.Length && text[start] == ' ' && MatchUserDefined(text, start) <= 1)
            {
                start++;
            }
        }

        if (start == text.Length)
        {
            return "";
        }

        StringBuilder result = new(text.Length + 1);
        if (prefix && _model.AddDummyPrefix)
        {
            result.Append(_space);
        }

        if (!trim)
        {
            return result.Append(text).Replace(' ', _space).ToString();
        }

        AppendWithoutExtraSpaces(text, start, result);
        return result.ToString();
    }

    private void AppendWithoutExtraSpaces(string text, int start, StringBuilder result)
    {
        // A user-defined piece is taken over whole: only spaces at its beginning go, and only after a space.
        bool afterSpace = true;
        for (int i = start; i < text.Length;)
        {
            int length = Math.Max(1, MatchUserDefined(text, i));
            ReadOnlySpan<char> part = text.AsSpan(i, length);
            part = afterSpace ? part.TrimStart(' ') : part;
            foreach (char character in part)
            {
                result.Append(character == ' ' ? _space : character);
            }

            afterSpace = part.IsEmpty ? afterSpace : part[^1] == ' ';
            i += length;
        }

        while (result.Length > 0 && result[^1] == _space)
        {
            result.Length--;
        }
    }

    private int MatchUserDefined(string text, int start) =>
        _userDefined.TryMatch(text.AsSpan(start), out int length, out _) ? length : 0;
}
