using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Reads calibration data: training files of every <see cref="DataFormat"/> (prompt and completion as one text), plain text, or a
/// JSON array of arrays of token ids.
/// </summary>
/// <remarks>
/// Texts get the tokenizer's BOS in front, if it has one. A record is one sample, cut to <see cref="Length"/>; plain text is encoded as
/// one stream and cut into samples of that length. Token ids are taken as they are.
/// </remarks>
public sealed class CalibrationReader
{
    /// <summary>Samples of a text when nobody says otherwise.</summary>
    public const int DefaultSamples = 128;

    /// <summary>Tokens of a sample when nobody says otherwise.</summary>
    public const int DefaultLength = 512;

    // So many characters a token hold more than enough text for the samples asked for; the rest of a huge file is not encoded.
    private const int CharactersPerToken = 32;

    /// <summary>Samples at most; null takes <see cref="DefaultSamples"/> of a text and all rows of token ids.</summary>
    public int? Samples { get; init; }

    /// <summary>Tokens of a sample at most, BOS included.</summary>
    public int Length { get; init; } = DefaultLength;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file; its first character tells the format where its name does not.</param>
    /// <param name="tokenizer">Asked for only where the file holds text.</param>
    /// <param name="vocabulary">Ids must be below this.</param>
    /// <returns>Token ids, one array a sample.</returns>
    /// <exception cref="UserErrorException">The file cannot be read, holds nothing, or an option is out of range.</exception>
    public IReadOnlyList<int[]> Load(string path, Func<ITokenizer> tokenizer, int vocabulary)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        if (Samples < 1)
        {
            throw new UserErrorException($"Calibration takes {Samples} samples, allowed 1 or more; {DefaultSamples} is usual.");
        }

        if (Length < 2)
        {
            throw new UserErrorException($"Calibration samples have {Length} tokens, allowed 2 or more; 512 and 2048 are usual.");
        }

        byte[] content = DataFile.ReadBytes(path);
        if (HoldsTokenIds(content, path))
        {
            IReadOnlyList<int[]> rows = TokenIdFile.Read(path, 0, vocabulary);
            return [.. rows.Take(Samples ?? rows.Count)];
        }

        DataFormat format = HoldsRecords(content, path) ? DataFormat.Auto : DataFormat.PlainText;
        IReadOnlyList<TrainingExample> examples = new ExampleReader { Format = format }.Parse(content, Path.GetFileName(path));
        List<int[]> samples = format == DataFormat.PlainText ? Cut(examples, tokenizer()) : Encode(examples, tokenizer, vocabulary);
        return samples.Count > 0 ? samples : throw new UserErrorException($"{path} gives no token to calibrate with; give a text of at least a few sentences.");
    }

    private static bool HoldsTokenIds(ReadOnlySpan<byte> content, string path)
    {
        if (IsText(path))
        {
            return false;
        }

        ReadOnlySpan<byte> start = SkipBlanks(content);
        return start.StartsWith("["u8) && SkipBlanks(start[1..]) is var second
            && (second.IsEmpty || second[0] is (byte)'[' or (byte)']' or (byte)'-' or (>= (byte)'0' and <= (byte)'9'));
    }

    private static bool HoldsRecords(ReadOnlySpan<byte> content, string path)
    {
        ReadOnlySpan<byte> start = SkipBlanks(content);
        return !IsText(path) && (path.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
            || start.StartsWith("{"u8) || (start.StartsWith("["u8) && SkipBlanks(start[1..]).StartsWith("{"u8)));
    }

    private static bool IsText(string path) => path.EndsWith(".txt", StringComparison.OrdinalIgnoreCase);

    private static ReadOnlySpan<byte> SkipBlanks(ReadOnlySpan<byte> content)
    {
        content = content.StartsWith("\uFEFF"u8) ? content[3..] : content;
        return content.TrimStart(" \t\r\n"u8);
    }

    private List<int[]> Encode(IReadOnlyList<TrainingExample> examples, Func<ITokenizer> tokenizer, int vocabulary)
    {
        List<int[]> samples = [];
        foreach (TrainingExample example in examples)
        {
            if (samples.Count == (Samples ?? DefaultSamples))
            {
                break;
            }

            int[] ids = example switch
            {
                TokenizedExample tokens => CheckIds(tokens, vocabulary),
                PromptCompletionExample pair => WithBos(tokenizer(), pair.Prompt + pair.Completion),
                TextExample text => WithBos(tokenizer(), text.Text),
                _ => throw new ArgumentException($"No way to encode a {example.GetType().Name}.", nameof(examples)),
            };
            if (ids.Length > 0)
            {
                samples.Add(ids[..Math.Min(ids.Length, Length)]);
            }
        }

        return samples;
    }

    private List<int[]> Cut(IReadOnlyList<TrainingExample> documents, ITokenizer tokenizer)
    {
        int[] bos = tokenizer.BosId is { } id ? [id] : [];
        int step = Length - bos.Length;
        long wanted = (long)(Samples ?? DefaultSamples) * step;
        List<int> ids = [];
        foreach (TextExample document in documents.Cast<TextExample>())
        {
            if (ids.Count >= wanted)
            {
                break;
            }

            ids.AddRange(tokenizer.Encode(Shorten(document.Text, (wanted - ids.Count) * CharactersPerToken)));
        }

        int[] stream = [.. ids];
        List<int[]> samples = [];
        for (int start = 0; start < Math.Min(stream.Length, wanted); start += step)
        {
            samples.Add([.. bos, .. stream.AsSpan(start, Math.Min(step, stream.Length - start))]);
        }

        return samples;
    }

    private static string Shorten(string text, long characters)
    {
        if (text.Length <= characters)
        {
            return text;
        }

        int end = (int)characters;
        return text[..(char.IsHighSurrogate(text[end - 1]) ? end - 1 : end)];
    }

    private static int[] WithBos(ITokenizer tokenizer, string text)
    {
        int[] ids = tokenizer.Encode(text);
        return tokenizer.BosId is { } bos ? [bos, .. ids] : ids;
    }

    private static int[] CheckIds(TokenizedExample example, int vocabulary)
    {
        foreach (int id in example.InputIds)
        {
            if (id >= vocabulary)
            {
                throw new UserErrorException($"{example.Location}: token id {id} is outside the vocabulary of {vocabulary}; encode the data with this model's tokenizer.");
            }
        }

        return example.InputIds;
    }
}
