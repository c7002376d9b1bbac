namespace PureQLora.Models;

/// <summary>Turns the scored pieces of a SentencePiece model into merges.</summary>
/// <remarks>
/// SentencePiece merges any two neighbours whose joint spelling is a piece, the highest score first. So every cut of a piece into two
/// symbols is a merge, ranked by the score of the piece; pieces of equal score have equal rank.
/// </remarks>
internal static class SentencePieceMerges
{
    /// <summary>Cutting a piece of n characters gives up to n − 1 merges; no real vocabulary has pieces longer than this.</summary>
    private const int MaxPieceLength = 256;

    /// <summary>Builds the encoder.</summary>
    public static BpeModel Build(SentencePieceModel model)
    {
        Dictionary<string, int> symbols = new(StringComparer.Ordinal);   // what can be merged: normal pieces, then code points without one
        Dictionary<int, int> codePoints = [];
        List<int> extra = [];
        int[] bytes = new int[256];
        for (int id = 0; id < model.Pieces.Count; id++)
        {
            SentencePiece piece = model.Pieces[id];
            if (piece.Type == SentencePieceType.Normal)
            {
                symbols.Add(piece.Text, id);
            }
            else if (piece.Type == SentencePieceType.Byte && SentencePieceModel.TryParseByte(piece.Text, out byte value))
            {
                bytes[value] = id;
            }
        }

        foreach (string text in symbols.Keys.ToArray())
        {
            foreach (System.Text.Rune rune in text.EnumerateRunes())
            {
                string spelling = rune.ToString();
                if (!symbols.TryGetValue(spelling, out int symbol))
                {
                    symbol = model.Pieces.Count + extra.Count;
                    symbols.Add(spelling, symbol);
                    extra.Add(rune.Value);
                }

                codePoints.TryAdd(rune.Value, symbol);
            }
        }

        return new BpeModel(codePoints)
        {
            Merges = new MergeTable(FindMerges(model, symbols)),
            VocabularySize = model.Pieces.Count,
            ByteIds = model.ByteFallback ? bytes : null,
            UnknownId = model.UnknownId,
            FuseUnknown = true,
            ExtraCodePoints = extra,
            Cuts = new WordCuts(codePoints.Keys, symbols.Keys),
        };
    }

    private static List<Merge> FindMerges(SentencePieceModel model, Dictionary<string, int> symbols)
    {
        float[] scores = [.. model.Pieces.Select(piece => piece.Score).Distinct().OrderDescending()];
        Dictionary<float, int> ranks = scores.Select((score, rank) => (score, rank)).ToDictionary(pair => pair.score, pair => pair.rank);
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = symbols.GetAlternateLookup<ReadOnlySpan<char>>();
        List<Merge> merges = [];
        for (int id = 0; id < model.Pieces.Count; id++)
        {
            ReadOnlySpan<char> text = model.Pieces[id].Text;
            if (model.Pieces[id].Type != SentencePieceType.Normal)
            {
                continue;
            }

            if (text.Length > MaxPieceLength)
            {
                throw new Core.UserErrorException($"Piece {id} of the SentencePiece model is {text.Length} characters long, allowed are {MaxPieceLength}; get the file again.");
            }

            for (int cut = 1; cut < text.Length; cut++)
            {
                if (lookup.TryGetValue(text[..cut], out int left) && lookup.TryGetValue(text[cut..], out int right))
                {
                    merges.Add(new Merge(left, right, ranks[model.Pieces[id].Score], id));
                }
            }
        }

        return merges;
    }
}
