namespace PureQLora.Models;

/// <summary>Cuts at the matches of a pattern.</summary>
/// <param name="pattern">What to look for.</param>
/// <param name="behavior">What becomes of the matches.</param>
/// <param name="invert">Whether matches and what lies between them change places.</param>
internal sealed class SplitStep(TextPattern pattern, SplitBehavior behavior, bool invert = false) : PreTokenizerStep
{
    private readonly SequencePattern? _words = pattern as SequencePattern;

    /// <inheritdoc/>
    public override void Split(in TextSegment segment, IWordSink parts)
    {
        if (behavior == SplitBehavior.Isolated && _words is not null)
        {
            HandOnWords(segment, parts, _words);
            return;
        }

        List<(int Start, int End)> matches = [];
        pattern.Find(segment.Span, matches);
        if (behavior == SplitBehavior.Isolated)
        {
            HandOnAll(segment, parts, matches);
        }
        else
        {
            HandOnJoined(segment, parts, matches);
        }
    }

    /// <summary>Words without gaps need no list.</summary>
    private static void HandOnWords(in TextSegment segment, IWordSink parts, SequencePattern words)
    {
        ReadOnlySpan<char> text = segment.Span;
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = words.EndOfWord(text, start);
            parts.Add(segment.Slice(start, end));
        }
    }

    private static void HandOnAll(in TextSegment segment, IWordSink parts, List<(int Start, int End)> matches)
    {
        int done = 0;
        foreach ((int start, int end) in matches)
        {
            HandOn(segment, parts, done, start);
            HandOn(segment, parts, start, end);
            done = end;
        }

        HandOn(segment, parts, done, segment.Length);
    }

    private static void HandOn(in TextSegment segment, IWordSink parts, int start, int end)
    {
        if (end > start)
        {
            parts.Add(segment.Slice(start, end));
        }
    }

    private void HandOnJoined(in TextSegment segment, IWordSink parts, List<(int Start, int End)> matches)
    {
        List<Piece> pieces = new((2 * matches.Count) + 1);
        int done = 0;
        foreach ((int start, int end) in matches)
        {
            AddPiece(pieces, done, start, invert);
            AddPiece(pieces, start, end, !invert);
            done = end;
        }

        AddPiece(pieces, done, segment.Length, invert);
        Join(pieces);
        foreach (Piece piece in pieces)
        {
            if (!(piece.IsMatch && behavior == SplitBehavior.Removed))
            {
                parts.Add(segment.Slice(piece.Start, piece.End));
            }
        }
    }

    private static void AddPiece(List<Piece> pieces, int start, int end, bool isMatch)
    {
        if (end > start)
        {
            pieces.Add(new Piece(start, end, isMatch));
        }
    }

    private void Join(List<Piece> pieces)
    {
        if (behavior == SplitBehavior.Removed)
        {
            return;
        }

        // Of a run of matches, only the one at the gap joins its neighbour.
        int count = 0;
        for (int i = 0; i < pieces.Count; i++)
        {
            bool join = i > 0 && behavior switch
            {
                SplitBehavior.Contiguous => pieces[i].IsMatch == pieces[i - 1].IsMatch,
                SplitBehavior.MergedWithPrevious => pieces[i].IsMatch && !pieces[i - 1].IsMatch,
                _ => pieces[i - 1].IsMatch && !pieces[i].IsMatch,
            };
            if (join)
            {
                pieces[count - 1] = pieces[count - 1] with { End = pieces[i].End };
            }
            else
            {
                pieces[count++] = pieces[i];
            }
        }

        pieces.RemoveRange(count, pieces.Count - count);
    }

    private readonly record struct Piece(int Start, int End, bool IsMatch);
}
