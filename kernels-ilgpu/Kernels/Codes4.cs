using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Codes of at most 4 bits: 32 in one chunk, code k at bit 4k.</summary>
public readonly struct Codes4 : ICodeFormat
{
    /// <inheritdoc/>
    public static int Chunks => 1;

    /// <inheritdoc/>
    public static int ChunkShift => 0;

    /// <inheritdoc/>
    public static float Excess => 0f;

    /// <inheritdoc/>
    public static float Offset(QuantizedWeightView weight, int place) => weight.Offsets[place];

    /// <inheritdoc/>
    public static float Number(QuantizedWeightView weight, int place, int code) => code + QuantizedCodes.Bias - weight.Offsets[place];

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 Half(ArrayView<Word4> codes, int start, int piece, int half)
    {
        Word4 all = codes[start + piece];
        return half == 0 ? new Word4(all.X, all.Y, 0, 0) : new Word4(all.Z, all.W, 0, 0);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 First(Word4 half, float scale, float offset) => Eight(half.X, scale, offset);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 Last(Word4 half, float scale, float offset) => Eight(half.Y, scale, offset);

    /// <inheritdoc/>
    public static int Code(ArrayView<Word4> codes, int piece, int index)
    {
        Word4 all = codes[piece];
        uint low = index < 8 ? all.X : all.Y;
        uint high = index < 24 ? all.Z : all.W;
        return (int)(((index < 16 ? low : high) >> (4 * (index & 7))) & 15u);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightCodes Eight(Word4 chunk, int index, float offset)
    {
        uint codes = Word(chunk, index);
        uint even = QuantizedCodes.EvenNibbles(codes);
        uint odd = QuantizedCodes.OddNibbles(codes);
        return new EightCodes(
            new Float4(QuantizedCodes.Biased0(even) - offset, QuantizedCodes.Biased0(odd) - offset, QuantizedCodes.Biased1(even) - offset, QuantizedCodes.Biased1(odd) - offset),
            new Float4(QuantizedCodes.Biased2(even) - offset, QuantizedCodes.Biased2(odd) - offset, QuantizedCodes.Biased3(even) - offset, QuantizedCodes.Biased3(odd) - offset));
    }

    /// <summary>A word of a chunk.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static uint Word(Word4 chunk, int index)
    {
        uint low = index == 0 ? chunk.X : chunk.Y;
        uint high = index == 2 ? chunk.Z : chunk.W;
        return index < 2 ? low : high;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Word4 Eight(uint codes, float scale, float offset)
    {
        uint even = QuantizedCodes.EvenNibbles(codes);
        uint odd = QuantizedCodes.OddNibbles(codes);
        return new Word4(
            BFloat16Pair.Pack((QuantizedCodes.Biased0(even) - offset) * scale, (QuantizedCodes.Biased0(odd) - offset) * scale),
            BFloat16Pair.Pack((QuantizedCodes.Biased1(even) - offset) * scale, (QuantizedCodes.Biased1(odd) - offset) * scale),
            BFloat16Pair.Pack((QuantizedCodes.Biased2(even) - offset) * scale, (QuantizedCodes.Biased2(odd) - offset) * scale),
            BFloat16Pair.Pack((QuantizedCodes.Biased3(even) - offset) * scale, (QuantizedCodes.Biased3(odd) - offset) * scale));
    }
}
