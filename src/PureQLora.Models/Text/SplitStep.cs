namespace PureQLora.Models;

/// <summary>Cuts at the matches of a pattern.</summary>
/// <param name="pattern">What to look for.</param>
/// <param name="behavior">What becomes of the matches.</param>
/// <param name="invert">Whether matches and what lies between them change places.</param>
internal sealed class SplitStep(TextPattern pattern, SplitBehavior behavior, bool invert = false) : PreTokenizerStep
{
    // Isolated words without gaps need no list.
    private readonly SequencePattern? _words = behavior == SplitBehavior.Isolated ? pattern as SequencePattern : null;

    /// <inheritdoc/>
    public override void Split(in TextSegment segment, IWordSink parts)
    {
        if (_words is null)
        {
            SplitAtMatches(segment, parts);
            return;
        }

        ReadOnlySpan<char> text = segment.Span;
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = _words.EndOfWord(text, start);
            parts.Add(segment.Slice(start, end));
        }
    }

    private void SplitAtMatches(in TextSegment segment, IWordSink parts)
    {
        List<(int Start, int End)> matches = [];
        pattern.Find(segment.Span, matches);
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
        if (behavior is SplitBehavior.Removed or SplitBehavior.Isolated)
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
