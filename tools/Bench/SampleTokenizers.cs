using System.Text.Json;
using Google.Protobuf;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Small tokenizers of both kinds, trained on generated text, so that nothing need be downloaded.</summary>
internal static class SampleTokenizers
{
    private const int VocabularySize = 1024;
    private const int TrainingTexts = 500;

    /// <summary>Trains them, in memory but for a file that is removed again.</summary>
    public static IReadOnlyList<(string Name, Func<ITokenizer> Load)> Train()
    {
        string json = BytePairTrainer.Train(BenchmarkText.Generate().Lines.Take(TrainingTexts), VocabularySize);
        return [("trained .json", () => Load("tokenizer.json", System.Text.Encoding.UTF8.GetBytes(json))), ("trained .model", () => Load("tokenizer.model", ToSentencePiece(json)))];
    }

    private static ITokenizer Load(string name, byte[] content)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("tokenise");
        try
        {
            string path = Path.Combine(folder.FullName, name);
            File.WriteAllBytes(path, content);
            File.WriteAllText(Path.Combine(folder.FullName, "tokenizer_config.json"), $$"""{"bos_token": "{{BytePairTrainer.BeginToken}}", "eos_token": "{{BytePairTrainer.EndToken}}"}""");
            return TokenizerFile.Load(path);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The same merges as a SentencePiece model: the score of a piece is minus its rank. The text is ASCII, so a byte is a character.</summary>
    private static byte[] ToSentencePiece(string json)
    {
        using JsonDocument file = JsonDocument.Parse(json);
        JsonElement model = file.RootElement.GetProperty("model");
        List<string> merged = [.. model.GetProperty("merges").EnumerateArray().Select(pair => $"{pair[0]}{pair[1]}".Replace('Ġ', '▁'))
            .Where(piece => piece.All(character => character == '▁' || char.IsAscii(character)))];
        IEnumerable<string> characters = Enumerable.Range('!', 94).Select(value => ((char)value).ToString()).Prepend("▁");
        return Write(output =>
        {
            WritePiece(output, "<unk>", 0, 2);
            WritePiece(output, "<s>", 0, 3);
            WritePiece(output, "</s>", 0, 3);
            foreach (int value in Enumerable.Range(0, 256))
            {
                WritePiece(output, $"<0x{value:X2}>", 0, 6);
            }

            foreach ((string piece, int rank) in merged.Concat(characters).Select((piece, rank) => (piece, rank)))
            {
                WritePiece(output, piece, -rank, 1);
            }

            WriteMessage(output, 2, trainer =>
            {
                WriteNumber(trainer, 3, 2);     // model_type = bpe
                WriteNumber(trainer, 35, 1);    // byte_fallback
            });
            WriteMessage(output, 3, normalizer =>
            {
                WriteNumber(normalizer, 3, 1);  // add_dummy_prefix
                WriteNumber(normalizer, 4, 0);  // remove_extra_whitespaces
            });
        });
    }

    private static void WritePiece(CodedOutputStream output, string text, float score, int type) => WriteMessage(output, 1, piece =>
    {
        piece.WriteTag(1, WireFormat.WireType.LengthDelimited);
        piece.WriteString(text);
        piece.WriteTag(2, WireFormat.WireType.Fixed32);
        piece.WriteFloat(score);
        WriteNumber(piece, 3, type);
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
