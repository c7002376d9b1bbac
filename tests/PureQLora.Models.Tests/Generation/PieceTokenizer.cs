using System.Text;

namespace PureQLora.Models.Tests;

/// <summary>A tokenizer whose token i is the i-th piece: text, bytes written as \xNN, or a special token in angle brackets.</summary>
internal sealed class PieceTokenizer : ITokenizer
{
    private readonly string[] _pieces;

    public PieceTokenizer(params string[] pieces) => _pieces = pieces;

    public int VocabularySize => _pieces.Length;

    public int? BosId => TokenToId("<s>");

    public int? EosId => TokenToId("</s>");

    /// <summary>What <see cref="Encode"/> puts behind every text.</summary>
    public int[] Suffix { get; init; } = [];

    /// <summary>As many tokens as a golden model has.</summary>
    public static PieceTokenizer Numbered(int count) => new([.. Enumerable.Range(0, count).Select(id => $" {id}")]);

    public int[] Encode(string text, bool addSpecial = false, bool parseSpecial = false) =>
        [.. text.Select(letter => TokenToId(letter.ToString())!.Value), .. addSpecial ? Suffix : []];

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        List<byte> bytes = [];
        foreach (int id in ids)
        {
            string piece = _pieces[id];
            if (piece.StartsWith("\\x", StringComparison.Ordinal))
            {
                bytes.Add(Convert.ToByte(piece[2..], 16));
            }
            else if (!skipSpecial || !piece.StartsWith('<'))
            {
                bytes.AddRange(Encoding.UTF8.GetBytes(piece));
            }
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }

    public string? IdToToken(int id) => id < _pieces.Length ? _pieces[id] : null;

    public int? TokenToId(string token) => Array.IndexOf(_pieces, token) is >= 0 and int id ? id : null;
}
