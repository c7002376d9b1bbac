using System.Buffers;
using System.Text;

namespace PureQLora.Models;

/// <summary>Byte-pair encoding of prepared text: words to symbols, symbols merged, what is not in the vocabulary as bytes.</summary>
/// <remarks>
/// Symbols are token ids. A model may need code points that its pieces hold but that are no pieces themselves; they are symbols from
/// <see cref="VocabularySize"/> on, and fall back to bytes when nothing swallows them.
/// </remarks>
internal sealed class BpeModel
{
    /// <summary>U+2581, which stands for a space in SentencePiece vocabularies.</summary>
    public const char SpaceMark = '\u2581';

    private const int Unknown = -1;
    private readonly WordCache _cache = new();
    private readonly int[] _asciiSymbols = new int[128];
    private readonly Dictionary<int, int> _symbols = [];

    /// <summary>Creates the model from the symbols of single code points.</summary>
    public BpeModel(IReadOnlyDictionary<int, int> symbols)
    {
        Array.Fill(_asciiSymbols, Unknown);
        foreach ((int codePoint, int symbol) in symbols)
        {
            _symbols.Add(codePoint, symbol);
            if (codePoint < _asciiSymbols.Length)
            {
                _asciiSymbols[codePoint] = symbol;
            }
        }
    }

    /// <summary>The merges.</summary>
    public required MergeTable Merges { get; init; }

    /// <summary>Number of ids.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Whether words are taken as UTF-8 bytes from the start (byte-level) and not as code points.</summary>
    public bool ByteLevel { get; init; }

    /// <summary>Id of each byte, or −1 for one without (byte-level only); null where the model has no byte tokens.</summary>
    public int[]? ByteIds { get; init; }

    /// <summary>Id for a code point (byte-level: a byte) that is neither a token nor falls back to bytes; null drops it.</summary>
    public int? UnknownId { get; init; }

    /// <summary>Whether neighbouring unknown code points give one unknown id.</summary>
    public bool FuseUnknown { get; init; }

    /// <summary>Code points of the symbols from <see cref="VocabularySize"/> on.</summary>
    public IReadOnlyList<int> ExtraCodePoints { get; init; } = [];

    /// <summary>Tokens that a word may be as a whole, before any merge (<c>ignore_merges</c>); null where that is off.</summary>
    public Dictionary<string, int>? WholeWords { get; init; }

    /// <summary>Where a text may be cut before merging; null where it is one word.</summary>
    public WordCuts? Cuts { get; init; }

    /// <summary>Appends the ids of a text that has no lone surrogates.</summary>
    public void Encode(ReadOnlySpan<char> text, IdBuffer ids)
    {
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = Cuts is null ? text.Length : Cuts.Next(text, start);
            if (end == start + 1 && !ByteLevel && text[start] < _asciiSymbols.Length && _asciiSymbols[text[start]] is int symbol && symbol >= 0 && symbol < VocabularySize)
            {
                ids.Add(symbol);    // nothing to merge, nothing to remember
            }
            else
            {
                EncodeWord(text[start..end], ids);
            }
        }
    }

    private void EncodeWord(ReadOnlySpan<char> word, IdBuffer ids)
    {
        if (_cache.TryGet(word, out ReadOnlySpan<int> known))
        {
            ids.Add(known);
            return;
        }

        int first = ids.Count;
        if (WholeWords is not null && TryWholeWord(word, out int whole))
        {
            ids.Add(whole);
        }
        else
        {
            // A character is at most three bytes of UTF-8; one above U+FFFF is two characters and four bytes.
            int[] buffer = ArrayPool<int>.Shared.Rent(3 * word.Length);
            int count = ByteLevel ? ToByteSymbols(word, buffer) : ToSymbols(word, buffer);
            count = PairMerger.Merge(buffer.AsSpan(0, count), Merges);
            Emit(buffer.AsSpan(0, count), ids);
            ArrayPool<int>.Shared.Return(buffer);
        }

        _cache.Add(word, ids.Ids[first..]);
    }

    private bool TryWholeWord(ReadOnlySpan<char> word, out int id)
    {
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = WholeWords!.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!ByteLevel)
        {
            return lookup.TryGetValue(word, out id);
        }

        byte[] bytes = ArrayPool<byte>.Shared.Rent(3 * word.Length);
        char[] spelling = ArrayPool<char>.Shared.Rent(3 * word.Length);
        int count = Encoding.UTF8.GetBytes(word, bytes);
        for (int i = 0; i < count; i++)
        {
            spelling[i] = ByteAlphabet.ToCharacter(bytes[i]);
        }

        bool found = lookup.TryGetValue(spelling.AsSpan(0, count), out id);
        ArrayPool<byte>.Shared.Return(bytes);
        ArrayPool<char>.Shared.Return(spelling);
        return found;
    }

    private int ToByteSymbols(ReadOnlySpan<char> word, Span<int> symbols)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(3 * word.Length);
        int count = 0;
        foreach (byte value in bytes.AsSpan(0, Encoding.UTF8.GetBytes(word, bytes)))
        {
            if (ByteIds![value] != Unknown || UnknownId is not null)
            {
                symbols[count++] = ByteIds[value];
            }
        }

        ArrayPool<byte>.Shared.Return(bytes);
        return count;
    }

    private int ToSymbols(ReadOnlySpan<char> word, Span<int> symbols)
    {
        int count = 0;
        foreach (Rune rune in word.EnumerateRunes())
        {
            int symbol = rune.IsAscii ? _asciiSymbols[rune.Value] : _symbols.GetValueOrDefault(rune.Value, Unknown);
            if (symbol == Unknown && ByteIds is not null)
            {
                count += ToFallbackBytes(rune, symbols[count..]);
            }
            else if (symbol != Unknown || UnknownId is not null)
            {
                symbols[count++] = symbol;
            }
        }

        return count;
    }

    private int ToFallbackBytes(Rune rune, Span<int> symbols)
    {
        Span<byte> bytes = stackalloc byte[4];
        int count = rune.EncodeToUtf8(bytes);
        for (int i = 0; i < count; i++)
        {
            symbols[i] = ByteIds![bytes[i]];
        }

        return count;
    }

    private void Emit(ReadOnlySpan<int> symbols, IdBuffer ids)
    {
        Span<int> bytes = stackalloc int[4];
        bool afterUnknown = false;
        foreach (int symbol in symbols)
        {
            bool known = symbol >= 0 && symbol < VocabularySize;
            if (known)
            {
                ids.Add(symbol);
            }
            else if (symbol != Unknown && ByteIds is not null)
            {
                int count = ToFallbackBytes(new Rune(ExtraCodePoints[symbol - VocabularySize]), bytes);
                ids.Add(bytes[..count]);
            }
            else if (UnknownId is int unknown && !(FuseUnknown && afterUnknown))
            {
                ids.Add(unknown);
            }

            afterUnknown = !known && (ByteLevel || ByteIds is null);
        }
    }
}
