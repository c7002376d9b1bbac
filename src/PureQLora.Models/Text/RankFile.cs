using System.Text;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Reads tiktoken rank files: one line a token, its bytes in base 64 and its rank, which is its id.</summary>
/// <remarks>
/// The files hold neither the pattern that cuts text into words nor the special tokens; both must be given. tiktoken merges any two
/// neighbours that make a token, the lowest rank first, so every cut of a token into two is a merge with the rank of the token.
/// </remarks>
internal static class RankFile
{
    private const int MaxTokenBytes = 512;

    /// <summary>Whether the data begins like a rank file.</summary>
    public static bool LooksLikeOne(ReadOnlySpan<byte> data)
    {
        int end = data.IndexOf((byte)'\n');
        return end is > 0 and < 1024 && TryReadLine(Encoding.Latin1.GetString(data[..end]), out _, out _);
    }

    /// <summary>Builds a tokenizer.</summary>
    public static BytePairTokenizer Build(byte[] data, string name, string pattern, TextNormalizer normalizer, IReadOnlyList<AddedToken> special, int[] prefix)
    {
        JsonPart source = new(default, name, "pattern");
        Vocabulary vocabulary = new();
        int lineNumber = 0;
        foreach (string line in Encoding.Latin1.GetString(data).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            lineNumber++;
            if (!TryReadLine(line, out string token, out int rank))
            {
                throw new UserErrorException($"{name}: line {lineNumber} is not base 64, a space and a rank; get the file again.");
            }

            vocabulary.Add(token, rank, source with { Path = $"line {lineNumber}" });
        }

        BpeModel model = BuildModel(vocabulary, name);
        foreach (AddedToken token in special)
        {
            vocabulary.Add(token.Content, token.Id, source with { Path = "special tokens" });
        }

        TokenizerParts parts = new()
        {
            Vocabulary = vocabulary,
            AddedTokens = special,
            Normalizer = normalizer,
            PreTokenizer = PreTokenizer.FromPattern(RegexPattern.Create(pattern, source)),
            Model = model,
            Decoder = TokenDecoder.Bytes(),
            Prefix = prefix,
        };
        return new BytePairTokenizer(parts, SpecialTokenSettings.None);
    }

    private static BpeModel BuildModel(Vocabulary vocabulary, string name)
    {
        Dictionary<string, int> ids = new(vocabulary.Ids, StringComparer.Ordinal);
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        List<Merge> merges = [];
        foreach ((string token, int rank) in ids)
        {
            for (int cut = 1; cut < token.Length; cut++)
            {
                if (lookup.TryGetValue(token.AsSpan(0, cut), out int left) && lookup.TryGetValue(token.AsSpan(cut), out int right))
                {
                    merges.Add(new Merge(left, right, rank, rank));
                }
            }
        }

        return new BpeModel(new Dictionary<int, int>())
        {
            Merges = new MergeTable(merges),
            VocabularySize = vocabulary.Size,
            ByteLevel = true,
            ByteIds = [.. Enumerable.Range(0, 256).Select(value => ids.TryGetValue(ByteAlphabet.ToCharacter((byte)value).ToString(), out int id)
                ? id
                : throw new UserErrorException($"{name} has no token for the byte 0x{value:X2}, and all 256 are needed; get the file again."))],
            WholeWords = ids,
        };
    }

    private static bool TryReadLine(string line, out string token, out int rank)
    {
        string[] fields = line.TrimEnd('\r').Split(' ');
        Span<byte> bytes = stackalloc byte[MaxTokenBytes];
        token = "";
        rank = -1;
        if (fields.Length != 2 || !Convert.TryFromBase64String(fields[0], bytes, out int count) || count == 0
            || !int.TryParse(fields[1], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out rank) || rank >= Vocabulary.MaxSize)
        {
            return false;
        }

        token = string.Create(count, bytes[..count].ToArray(), static (spelling, source) =>
        {
            for (int i = 0; i < spelling.Length; i++)
            {
                spelling[i] = ByteAlphabet.ToCharacter(source[i]);
            }
        });
        return true;
    }
}
