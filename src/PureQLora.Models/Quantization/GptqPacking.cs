using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// The words of a GPTQ checkpoint. Codes form little-endian bit streams: of <c>qweight</c> [in·bits/32, out] down each column, as
/// <see cref="QuantizedMatrix"/> keeps them along its rows; of <c>qzeros</c> [groups, out·bits/32] along each row. With 3 bits, codes 10
/// and 21 of 32 lie across two words.
/// </summary>
public static class GptqPacking
{
    // Streams packed side by side, so that the cache lines of all their codes stay at hand.
    private const int TileStreams = 64;

    /// <summary>Words that hold this many codes.</summary>
    public static int WordCount(int codes, int bits) => checked((int)((((long)codes * bits) + 31) / 32));

    /// <summary>Packs zero points.</summary>
    /// <param name="zeros">[outFeatures, groups]</param>
    /// <param name="outFeatures">Rows of W.</param>
    /// <param name="groups">Groups of a row.</param>
    /// <param name="bits">2, 3, 4 or 8.</param>
    /// <param name="format">Whether to store one less.</param>
    /// <returns>[groups, ceil(outFeatures · bits / 32)]</returns>
    public static int[] PackZeros(ReadOnlySpan<byte> zeros, int outFeatures, int groups, int bits, GptqFormat format)
    {
        RequireBits(bits);
        ArgumentOutOfRangeException.ThrowIfNotEqual(zeros.Length, (long)outFeatures * groups);
        int wordCount = WordCount(outFeatures, bits);
        var words = new int[checked(groups * wordCount)];
        if (format == GptqFormat.V1 && bits == 3)
        {
            zeros = AddModulo8(zeros, -1);
        }

        Pack(zeros, new Strides(1, groups), words, new Strides(wordCount, 1), groups, outFeatures, bits);
        if (format == GptqFormat.V1 && bits != 3)
        {
            AddToEveryField(words, -1, bits);
        }

        return words;
    }

    /// <summary>The inverse of <see cref="PackZeros"/>.</summary>
    /// <param name="words">qzeros. [groups, ceil(outFeatures · bits / 32)]</param>
    /// <param name="outFeatures">Rows of W.</param>
    /// <param name="groups">Groups of a row.</param>
    /// <param name="bits">2, 3, 4 or 8.</param>
    /// <param name="format">Whether one less is stored.</param>
    /// <param name="layer">The layer's name, for error messages.</param>
    /// <returns>Zero points. [outFeatures, groups]</returns>
    /// <exception cref="UserErrorException">The number of words does not fit the layer.</exception>
    public static byte[] UnpackZeros(ReadOnlySpan<int> words, int outFeatures, int groups, int bits, GptqFormat format, string layer)
    {
        RequireBits(bits);
        RequireSizes(outFeatures, groups, layer);
        int wordCount = WordCount(outFeatures, bits);
        RequireLength(words.Length, wordCount, groups, "qzeros", layer);
        int[] stored = words.ToArray();
        if (format == GptqFormat.V1 && bits != 3)
        {
            AddToEveryField(stored, 1, bits);
        }

        var zeros = new byte[outFeatures * groups];
        Unpack(stored, new Strides(wordCount, 1), zeros, new Strides(1, groups), groups, outFeatures, bits);
        return format == GptqFormat.V1 && bits == 3 ? AddModulo8(zeros, 1) : zeros;
    }

    /// <summary>
    /// One wrapping addition a word, as the libraries do it: with a zero point of 0 the borrow runs into the next field, and only the same
    /// addition backwards takes it out again.
    /// </summary>
    private static void AddToEveryField(Span<int> words, int amount, int bits)
    {
        int ones = bits switch { 2 => 0x55555555, 4 => 0x11111111, _ => 0x01010101 };
        foreach (ref int word in words)
        {
            word = unchecked(word + (amount * ones));
        }
    }

    /// <summary>The libraries' rule for 3 bits, whose fields do not end where words end.</summary>
    private static byte[] AddModulo8(ReadOnlySpan<byte> zeros, int amount)
    {
        var result = new byte[zeros.Length];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = (byte)((zeros[i] + amount) & 7);
        }

        return result;
    }

    private static void Pack(ReadOnlySpan<byte> codes, Strides code, Span<int> words, Strides word, int streams, int length, int bits)
    {
        Span<ulong> pending = stackalloc ulong[TileStreams];
        for (int first = 0; first < streams; first += TileStreams)
        {
            int count = Math.Min(TileStreams, streams - first);
            pending.Clear();
            int filled = 0;
            int written = 0;
            for (int i = 0; i < length; i++)
            {
                for (int s = 0; s < count; s++)
                {
                    byte value = codes[((first + s) * code.Stream) + (i * code.Element)];
                    ArgumentOutOfRangeException.ThrowIfGreaterThan(value, (1 << bits) - 1, nameof(codes));
                    pending[s] |= (ulong)value << filled;
                }

                filled += bits;
                while (filled >= 32 || (filled > 0 && i == length - 1))
                {
                    for (int s = 0; s < count; s++)
                    {
                        words[((first + s) * word.Stream) + (written * word.Element)] = (int)(uint)pending[s];
                        pending[s] >>= 32;
                    }

                    written++;
                    filled -= 32;
                }
            }
        }
    }

    private static void Unpack(ReadOnlySpan<int> words, Strides word, Span<byte> codes, Strides code, int streams, int length, int bits)
    {
        Span<ulong> pending = stackalloc ulong[TileStreams];
        byte mask = (byte)((1 << bits) - 1);
        for (int first = 0; first < streams; first += TileStreams)
        {
            int count = Math.Min(TileStreams, streams - first);
            pending.Clear();
            int filled = 0;
            int read = 0;
            for (int i = 0; i < length; i++)
            {
                if (filled < bits)
                {
                    for (int s = 0; s < count; s++)
                    {
                        pending[s] |= (ulong)(uint)words[((first + s) * word.Stream) + (read * word.Element)] << filled;
                    }

                    read++;
                    filled += 32;
                }

                for (int s = 0; s < count; s++)
                {
                    codes[((first + s) * code.Stream) + (i * code.Element)] = (byte)((byte)pending[s] & mask);
                    pending[s] >>= bits;
                }

                filled -= bits;
            }
        }
    }

    private static void RequireBits(int bits)
    {
        if (bits is not (2 or 3 or 4 or 8))
        {
            throw new UserErrorException($"A GPTQ checkpoint says {bits} bits, allowed 2, 3, 4 or 8; quantise the model again with one of these.");
        }
    }

    private static void RequireSizes(int outFeatures, int second, string layer)
    {
        if (outFeatures < 1 || second < 1 || (long)outFeatures * second > Array.MaxLength)
        {
            throw new UserErrorException(
                $"{layer} is said to be {outFeatures} × {second}, allowed are sizes from 1 with a product up to {Array.MaxLength}; the checkpoint is damaged, fetch it again.");
        }
    }

    private static void RequireLength(int actual, int wordCount, int streams, string tensor, string layer)
    {
        long expected = (long)wordCount * streams;
        if (actual != expected)
        {
            throw new UserErrorException(
                $"{tensor} of {layer} holds {actual} words, its shape and bits ask for {expected}; the checkpoint and its quantisation settings do not belong together.");
        }
    }

    /// <summary>Distance from one stream to the next, and from one element of a stream to the next.</summary>
    private readonly record struct Strides(int Stream, int Element);
}
