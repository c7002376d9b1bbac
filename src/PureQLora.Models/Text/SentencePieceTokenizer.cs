using System.Buffers;
using System.Text;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The tokenizer of a SentencePiece <c>.model</c> file: byte-pair encoding with scores, byte fallback and space marks.</summary>
/// <remarks>
/// Kudo and Richardson, arXiv:1808.06226; ids and texts are those of google/sentencepiece. With special tokens parsed, the text is cut
/// at the spellings of control pieces and of the unknown piece; only the first part gets the dummy prefix.
/// </remarks>
public sealed class SentencePieceTokenizer : ITokenizer
{
    private readonly SentencePieceModel _model;
    private readonly BpeModel _bpe;
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly TokenTrie _special;
    private readonly TokenTrie _userDefined;
    private readonly SentencePieceNormalizer _normalizer;
    private readonly int[] _prefix;
    private readonly int[] _suffix;

    internal SentencePieceTokenizer(SentencePieceModel model, SpecialTokenSettings settings)
    {
        if (settings.HighestAdded.Id >= model.Pieces.Count)
        {
            throw new UserErrorException($"{settings.Source}: the configuration adds the token '{settings.HighestAdded.Token}' with the id {settings.HighestAdded.Id}, and the SentencePiece model ends at {model.Pieces.Count - 1}; put the tokenizer.json of the model beside it.");
        }

        _model = model;
        for (int id = 0; id < model.Pieces.Count; id++)
        {
            _ids.Add(model.Pieces[id].Text, id);
        }

        _special = new TokenTrie(_ids.Where(piece => IsSpecial(piece.Value)));
        _userDefined = new TokenTrie(_ids.Where(piece => model.Pieces[piece.Value].Type == SentencePieceType.UserDefined));
        _normalizer = new SentencePieceNormalizer(model, _userDefined);
        _bpe = SentencePieceMerges.Build(model);
        BosId = settings.Find("bos_token", settings.BosToken, TokenToId) ?? (model.BosId < 0 ? null : model.BosId);
        EosId = settings.Find("eos_token", settings.EosToken, TokenToId) ?? (model.EosId < 0 ? null : model.EosId);

        // LlamaTokenizer puts BOS and not EOS unless its configuration says otherwise.
        _prefix = BosId is int bos && (settings.AddBos ?? true) ? [bos] : [];
        _suffix = EosId is int eos && (settings.AddEos ?? false) ? [eos] : [];
    }

    /// <inheritdoc/>
    public int VocabularySize => _model.Pieces.Count;

    /// <inheritdoc/>
    public int? BosId { get; }

    /// <inheritdoc/>
    public int? EosId { get; }

    /// <summary>Loads a model file by itself. BOS and EOS are those of the file; BOS is put before a text, EOS is not put after it.</summary>
    /// <exception cref="UserErrorException">The file cannot be read, is broken, or asks for what is not supported.</exception>
    public static SentencePieceTokenizer Load(string path) => TokenizerFile.LoadSentencePiece(path, SpecialTokenSettings.None);

    /// <inheritdoc/>
    public int[] Encode(string text, bool addSpecial = false, bool parseSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        text = WellFormedText.Repair(text);
        using IdBuffer ids = new((text.Length / 3) + 4);
        ids.Add(addSpecial ? _prefix : []);
        int start = 0;
        while (parseSpecial && _special.TryFind(text, start, out int found, out int length, out int id))
        {
            EncodePart(text.AsSpan(start, found - start), isFirst: start == 0, ids);
            ids.Add(id);
            start = found + length;
        }

        EncodePart(text.AsSpan(start), isFirst: start == 0, ids);
        ids.Add(addSpecial ? _suffix : []);
        return ids.Ids.ToArray();
    }

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        StringBuilder text = new();
        List<byte> bytes = [];
        bool atStart = true;        // the next space mark may be the dummy prefix
        foreach (int id in ids)
        {
            SentencePiece piece = Piece(id);
            if (piece.Type == SentencePieceType.Byte && SentencePieceModel.TryParseByte(piece.Text, out byte value))
            {
                bytes.Add(value);
                continue;
            }

            if (skipSpecial && piece.Type == SentencePieceType.Unknown)
            {
                continue;
            }

            atStart &= bytes.Count == 0;
            AppendBytes(bytes, text);
            if (!IsSpecial(id))
            {
                AppendPiece(piece.Text, ref atStart, text);
            }
            else if (!skipSpecial)
            {
                text.Append(piece.Text);
                atStart = false;
            }
        }

        AppendBytes(bytes, text);
        return text.ToString();
    }

    /// <inheritdoc/>
    public string? IdToToken(int id) => id >= 0 && id < VocabularySize ? _model.Pieces[id].Text : null;

    /// <inheritdoc/>
    public int? TokenToId(string token) => _ids.TryGetValue(token, out int id) ? id : null;

    private bool IsSpecial(int id) => _model.Pieces[id].Type is SentencePieceType.Control or SentencePieceType.Unknown;

    private SentencePiece Piece(int id) => id >= 0 && id < VocabularySize
        ? _model.Pieces[id]
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"Token id {id} is outside the vocabulary, allowed is 0 to {VocabularySize - 1}.");

    private void EncodePart(ReadOnlySpan<char> part, bool isFirst, IdBuffer ids)
    {
        char[] buffer = ArrayPool<char>.Shared.Rent(part.Length + 1);
        ReadOnlySpan<char> text = buffer.AsSpan(0, _normalizer.Normalize(part, isFirst, buffer));
        while (_userDefined.TryFind(text, 0, out int found, out int length, out int id))
        {
            _bpe.Encode(text[..found], ids);
            ids.Add(id);
            text = text[(found + length)..];
        }

        _bpe.Encode(text, ids);
        ArrayPool<char>.Shared.Return(buffer);
    }

    private void AppendPiece(string piece, ref bool atStart, StringBuilder text)
    {
        bool hidesSpace = atStart && piece[0] == BpeModel.SpaceMark && (_model.AddDummyPrefix || _model.RemoveExtraWhitespaces);
        int before = text.Length;
        text.Append(piece, hidesSpace ? 1 : 0, piece.Length - (hidesSpace ? 1 : 0)).Replace(BpeModel.SpaceMark, ' ', before, text.Length - before);

        // A model that trims hides every space at the start, another one only the dummy prefix.
        atStart &= text.Length == before && (_model.RemoveExtraWhitespaces || !hidesSpace);
    }

    private static void AppendBytes(List<byte> bytes, StringBuilder text)
    {
        // The library gives one U+FFFD for every byte that is not part of a character.
        ReadOnlySpan<byte> rest = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bytes);
        while (!rest.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(rest, out Rune rune, out int consumed) == OperationStatus.Done;
            text.Append(rune.ToString());
            rest = rest[(valid ? consumed : 1)..];
        }

        bytes.Clear();
    }
}
