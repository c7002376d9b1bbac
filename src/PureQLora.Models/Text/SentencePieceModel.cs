using System.Text;
using Google.Protobuf;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>What a SentencePiece <c>.model</c> file says, checked.</summary>
/// <remarks>Format: <c>sentencepiece_model.proto</c> of google/sentencepiece (a protobuf message <c>ModelProto</c>).</remarks>
internal sealed class SentencePieceModel
{
    private const int MaxPieces = 1 << 20;
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);
    private readonly List<SentencePiece> _pieces = [];
    private int _modelType = 1;      // proto default: unigram
    private bool _hasNormalizer;
    private bool _hasDenormalizer;
    private bool _spaceIsSuffix;

    private SentencePieceModel()
    {
    }

    /// <summary>The vocabulary, by id.</summary>
    public IReadOnlyList<SentencePiece> Pieces => _pieces;

    /// <summary>Whether code points outside the vocabulary are spelled in bytes.</summary>
    public bool ByteFallback { get; private set; }

    /// <summary>Whether a space is put before the text.</summary>
    public bool AddDummyPrefix { get; private set; } = true;

    /// <summary>Whether spaces at both ends go and runs of spaces become one.</summary>
    public bool RemoveExtraWhitespaces { get; private set; } = true;

    /// <summary>Whether spaces become U+2581.</summary>
    public bool EscapeWhitespaces { get; private set; } = true;

    /// <summary>Id of the unknown piece.</summary>
    public int UnknownId { get; private set; } = -1;

    /// <summary>BOS id, or −1.</summary>
    public int BosId { get; private set; } = 1;

    /// <summary>EOS id, or −1.</summary>
    public int EosId { get; private set; } = 2;

    /// <summary>Reads a model.</summary>
    /// <param name="data">The file.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="UserErrorException">The file is broken, or asks for what is not supported.</exception>
    public static SentencePieceModel Parse(byte[] data, string name)
    {
        SentencePieceModel model = new();
        try
        {
            model.ReadModel(new CodedInputStream(data));
        }
        catch (Exception exception) when (exception is InvalidProtocolBufferException or DecoderFallbackException)
        {
            throw new UserErrorException($"{name} is not a SentencePiece model: {exception.Message.TrimEnd('.')}; get the file again.", exception);
        }

        string? problem = model.FindUnsupported() ?? model.FindBroken();
        return problem is null ? model : throw new UserErrorException(WellFormedText.OneLine($"{name}: {problem}."));
    }

    private void ReadModel(CodedInputStream input)
    {
        for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            switch (tag)
            {
                case (1 << 3) | 2:
                    _pieces.Add(ReadPiece(input.ReadBytes().CreateCodedInput()));
                    break;
                case (2 << 3) | 2:
                    ReadTrainerSpec(input.ReadBytes().CreateCodedInput());
                    break;
                case (3 << 3) | 2:
                    ReadNormalizerSpec(input.ReadBytes().CreateCodedInput());
                    break;
                case (5 << 3) | 2:
                    _hasDenormalizer |= HasRules(input.ReadBytes().CreateCodedInput());
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
    }

    private static SentencePiece ReadPiece(CodedInputStream input)
    {
        (string text, float score, int type) = ("", 0, (int)SentencePieceType.Normal);
        for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            switch (tag)
            {
                case (1 << 3) | 2:
                    text = StrictUtf8.GetString(input.ReadBytes().Span);
                    break;
                case (2 << 3) | 5:
                    score = input.ReadFloat();
                    break;
                case 3 << 3:
                    type = input.ReadInt32();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }

        return new SentencePiece(text, score, (SentencePieceType)type);
    }

    private void ReadTrainerSpec(CodedInputStream input)
    {
        // Only what changes how a finished model works; the other fields tell how it was trained.
        for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            switch (tag)
            {
                case 3 << 3:
                    _modelType = input.ReadInt32();
                    break;
                case 24 << 3:
                    _spaceIsSuffix = input.ReadBool();
                    break;
                case 35 << 3:
                    ByteFallback = input.ReadBool();
                    break;
                case 41 << 3:
                    BosId = input.ReadInt32();
                    break;
                case 42 << 3:
                    EosId = input.ReadInt32();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
    }

    private void ReadNormalizerSpec(CodedInputStream input)
    {
        for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            switch (tag)
            {
                case (2 << 3) | 2:
                    _hasNormalizer |= input.ReadBytes().Length > 0;
                    break;
                case 3 << 3:
                    AddDummyPrefix = input.ReadBool();
                    break;
                case 4 << 3:
                    RemoveExtraWhitespaces = input.ReadBool();
                    break;
                case 5 << 3:
                    EscapeWhitespaces = input.ReadBool();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
    }

    private static bool HasRules(CodedInputStream input)
    {
        bool found = false;
        for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            if (tag == ((2 << 3) | 2))
            {
                found |= input.ReadBytes().Length > 0;
            }
            else
            {
                input.SkipLastField();
            }
        }

        return found;
    }

    private string? FindUnsupported() => this switch
    {
        { _pieces.Count: 0 } => "it holds no pieces, so it is not a SentencePiece model; get the file again",
        { _modelType: not 2 } => $"model_type is {ModelTypeName(_modelType)}, and only bpe is supported; use a model trained with --model_type=bpe",
        { _hasDenormalizer: true } => "denormalizer_spec has rules, which is not supported; use a model without them",
        { _spaceIsSuffix: true } => "treat_whitespace_as_suffix is true, and only false is supported; use a model with space as prefix",
        { _hasNormalizer: true } => "precompiled_charsmap has normalization rules, which is not supported; use a model with normalization_rule_name=identity, or its tokenizer.json",
        _ when _pieces.Count > MaxPieces => $"it holds {_pieces.Count} pieces, and at most {MaxPieces} are allowed; use a smaller vocabulary",
        _ => null,
    };

    private static string ModelTypeName(int type) => type switch
    {
        1 => "unigram",
        3 => "word",
        4 => "char",
        _ => $"{type}",
    };

    private string? FindBroken()
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        int bytes = 0;
        for (int id = 0; id < _pieces.Count; id++)
        {
            (string text, float score, SentencePieceType type) = _pieces[id];
            string? problem = text.Length == 0 ? "is empty"
                : !seen.Add(text) ? $"repeats '{text}'"
                : !float.IsFinite(score) ? $"has the score {score}, allowed are finite numbers"
                : type == SentencePieceType.Unused ? "is of type UNUSED, which is not supported"
                : !Enum.IsDefined(type) ? $"has the type {(int)type}, allowed are 1 to 6"
                : type == SentencePieceType.Unknown && UnknownId >= 0 ? $"is a second unknown piece after {UnknownId}"
                : type == SentencePieceType.Byte && !ByteFallback ? "is a byte although byte_fallback is false"
                : type == SentencePieceType.Byte && !(TryParseByte(text, out byte value) && text == SpellByte(value)) ? $"is a byte spelled '{text}', allowed are <0x00> to <0xFF>"
                : null;
            if (problem is not null)
            {
                return $"piece {id} {problem}; get the file again";
            }

            bytes += type == SentencePieceType.Byte ? 1 : 0;
            UnknownId = type == SentencePieceType.Unknown ? id : UnknownId;
        }

        return UnknownId < 0 ? "there is no unknown piece, and one is needed; get the file again"
            : ByteFallback && bytes < 256 ? $"byte_fallback is true but {MissingByte()} has no piece; all 256 bytes need one"
            : FindBrokenSpecial("bos_id", BosId) ?? FindBrokenSpecial("eos_id", EosId);
    }

    private string MissingByte()
    {
        HashSet<string> bytes = [.. _pieces.Where(piece => piece.Type == SentencePieceType.Byte).Select(piece => piece.Text)];
        return Enumerable.Range(0, 256).Select(value => SpellByte((byte)value)).First(text => !bytes.Contains(text));
    }

    private string? FindBrokenSpecial(string name, int id) =>
        id < _pieces.Count ? null : $"{name} is {id}, allowed is −1 to {_pieces.Count - 1}; get the file again";

    /// <summary>The spelling of a byte piece.</summary>
    public static string SpellByte(byte value) => $"<0x{value:X2}>";

    /// <summary>Reads the spelling of a byte piece, <c>&lt;0x41&gt;</c>.</summary>
    public static bool TryParseByte(ReadOnlySpan<char> text, out byte value)
    {
        value = 0;
        return text.Length == 6 && text.StartsWith("<0x", StringComparison.Ordinal) && text[5] == '>'
            && byte.TryParse(text[3..5], System.Globalization.NumberStyles.AllowHexSpecifier, System.Globalization.CultureInfo.InvariantCulture, out value);
    }
}
