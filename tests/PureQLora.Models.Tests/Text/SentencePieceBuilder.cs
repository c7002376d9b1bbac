using Google.Protobuf;

namespace PureQLora.Models.Tests;

/// <summary>Small SentencePiece models whose parts a test chooses.</summary>
internal sealed class SentencePieceBuilder
{
    private readonly List<(string Text, float Score, int Type)> _pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)];

    public int ModelType { get; init; } = 2;

    public bool ByteFallback { get; init; }

    public bool DummyPrefix { get; init; } = true;

    public bool RemoveExtraWhitespaces { get; init; }

    public bool SpaceIsSuffix { get; init; }

    public int BosId { get; init; } = 1;

    public string Rules { get; init; } = "";

    public SentencePieceBuilder Add(string text, float score = 0, int type = 1)
    {
        _pieces.Add((text, score, type));
        return this;
    }

    public SentencePieceBuilder AddBytes(int count = 256)
    {
        for (int value = 0; value < count; value++)
        {
            Add($"<0x{value:X2}>", 0, 6);
        }

        return this;
    }

    public SentencePieceTokenizer Build() => new(SentencePieceModel.Parse(ToBytes(), "test.model"), SpecialTokenSettings.None);

    public byte[] ToBytes() => Write(model =>
    {
        foreach ((string text, float score, int type) in _pieces)
        {
            WriteMessage(model, 1, piece =>
            {
                piece.WriteTag(1, WireFormat.WireType.LengthDelimited);
                piece.WriteString(text);
                piece.WriteTag(2, WireFormat.WireType.Fixed32);
                piece.WriteFloat(score);
                WriteNumber(piece, 3, type);
            });
        }

        WriteMessage(model, 2, trainer =>
        {
            WriteNumber(trainer, 3, ModelType);
            WriteNumber(trainer, 24, SpaceIsSuffix ? 1 : 0);
            WriteNumber(trainer, 35, ByteFallback ? 1 : 0);
            WriteNumber(trainer, 41, BosId);
        });
        WriteMessage(model, 3, normalizer =>
        {
            normalizer.WriteTag(2, WireFormat.WireType.LengthDelimited);
            normalizer.WriteString(Rules);
            WriteNumber(normalizer, 3, DummyPrefix ? 1 : 0);
            WriteNumber(normalizer, 4, RemoveExtraWhitespaces ? 1 : 0);
        });
    });

    private static void WriteNumber(CodedOutputStream output, int field, int value)
    {
        output.WriteTag(field, WireFormat.WireType.Varint);
        output.WriteInt32(value);
    }

    private static void WriteMessage(CodedOutputStream output, int field, Action<CodedOutputStream> write)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(Write(write)));
    }

    private static byte[] Write(Action<CodedOutputStream> write)
    {
        using MemoryStream stream = new();
        using (CodedOutputStream output = new(stream, leaveOpen: true))
        {
            write(output);
        }

        return stream.ToArray();
    }
}
