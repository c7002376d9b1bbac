using System.Text;

namespace PureQLora.Models;

/// <summary>The <c>decoder</c> of a <c>tokenizer.json</c>: turns the spellings of tokens into text.</summary>
internal sealed class TokenDecoder
{
    private readonly List<Func<List<string>, List<string>>> _steps = [];
    private string _separator = "";

    private TokenDecoder()
    {
    }

    /// <summary>One that reads tokens in the byte alphabet.</summary>
    public static TokenDecoder Bytes()
    {
        TokenDecoder decoder = new();
        decoder._steps.Add(DecodeByteLevel);
        return decoder;
    }

    /// <summary>Reads the part of the file; null gives one that puts spaces between tokens, as the tokenizers library does.</summary>
    public static TokenDecoder Read(JsonPart? part)
    {
        TokenDecoder decoder = new() { _separator = part is null ? " " : "" };
        if (part is JsonPart given)
        {
            decoder.ReadStep(given);
        }

        return decoder;
    }

    /// <summary>Text of tokens.</summary>
    public string Decode(List<string> tokens)
    {
        foreach (Func<List<string>, List<string>> step in _steps)
        {
            tokens = step(tokens);
        }

        return string.Join(_separator, tokens);
    }

    private void ReadStep(JsonPart part)
    {
        string type = part.Required("type").Text();
        switch (type)
        {
            case "Sequence":
                part.AllowOnly("type", "decoders");
                foreach (JsonPart item in part.Required("decoders").Items())
                {
                    ReadStep(item);
                }

                break;
            case "Replace":
                part.AllowOnly("type", "pattern", "content");
                TextPattern pattern = TextPattern.Read(part.Required("pattern"));
                string content = part.Required("content").Text();
                _steps.Add(tokens => tokens.ConvertAll(token => pattern.Replace(token, content)));
                break;
            case "ByteFallback":
                part.AllowOnly("type");
                _steps.Add(DecodeByteTokens);
                break;
            case "Fuse":
                part.AllowOnly("type");
                _steps.Add(tokens => [string.Concat(tokens)]);
                break;
            case "Strip":
                ReadStrip(part);
                break;
            case "ByteLevel":
                part.AllowOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
                _steps.Add(DecodeByteLevel);
                break;
            case "Metaspace":
                part.AllowOnly("type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split");
                (char mark, PrependScheme scheme) = MetaspaceSettings.Read(part);
                _steps.Add(tokens => DecodeMetaspace(tokens, mark, scheme));
                break;
            default:
                throw part.Error($"has the type '{type}', which is not supported; known are Sequence, Replace, ByteFallback, Fuse, Strip, ByteLevel and Metaspace");
        }
    }

    private void ReadStrip(JsonPart part)
    {
        part.AllowOnly("type", "content", "start", "stop");
        JsonPart content = part.Required("content");
        if (content.Text() is not { Length: 1 } stripped)
        {
            throw content.Error($"is '{content.Text()}', allowed is one character");
        }

        int start = part.Required("start").Integer(0, 1024);
        int stop = part.Required("stop").Integer(0, 1024);
        _steps.Add(tokens => tokens.ConvertAll(token => Strip(token, stripped[0], start, stop)));
    }

    private static string Strip(string token, char content, int start, int stop)
    {
        int first = 0;
        while (first < start && first < token.Length && token[first] == content)
        {
            first++;
        }

        int end = token.Length;
        while (token.Length - end < stop && end > first && token[end - 1] == content)
        {
            end--;
        }

        return token[first..end];
    }

    private static List<string> DecodeByteTokens(List<string> tokens)
    {
        List<string> result = new(tokens.Count);
        List<byte> bytes = [];
        foreach (string token in tokens)
        {
            if (SentencePieceModel.TryParseByte(token, out byte value))
            {
                bytes.Add(value);
                continue;
            }

            FlushBytes(bytes, result);
            result.Add(token);
        }

        FlushBytes(bytes, result);
        return result;
    }

    private static void FlushBytes(List<byte> bytes, List<string> result)
    {
        // The library takes a run of byte tokens as a whole: one bad byte makes every byte of it U+FFFD.
        if (bytes.Count > 0)
        {
            byte[] run = [.. bytes];
            result.Add(System.Text.Unicode.Utf8.IsValid(run) ? Encoding.UTF8.GetString(run) : new string('\uFFFD', run.Length));
            bytes.Clear();
        }
    }

    private static List<string> DecodeByteLevel(List<string> tokens)
    {
        List<byte> bytes = [];
        foreach (string token in tokens)
        {
            // A token with a character outside the byte alphabet (an added one) stands for itself.
            int before = bytes.Count;
            foreach (char character in token)
            {
                int value = ByteAlphabet.ToByte(character);
                if (value < 0)
                {
                    bytes.RemoveRange(before, bytes.Count - before);
                    bytes.AddRange(Encoding.UTF8.GetBytes(token));
                    break;
                }

                bytes.Add((byte)value);
            }
        }

        return [Encoding.UTF8.GetString(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bytes))];
    }

    private static List<string> DecodeMetaspace(List<string> tokens, char mark, PrependScheme scheme)
    {
        List<string> result = new(tokens.Count);
        foreach (string token in tokens)
        {
            bool hidden = result.Count == 0 && scheme != PrependScheme.Never;
            result.Add(hidden ? token.Replace(mark.ToString(), "", StringComparison.Ordinal) : token.Replace(mark, ' '));
        }

        return result;
    }
}
