using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Codes of 8 bits: 32 in two chunks, one a byte.</summary>
public readonly struct Codes8 : ICodeFormat
{
    /// <inheritdoc/>
    public static int Chunks => 2;

    /// <inheritdoc/>
    public static int ChunkShift => 1;

    /// <inheritdoc/>
    public static float Excess => 0f;

    /// <inheritdoc/>
    public static float Offset(QuantizedWeightView weight, int place) => weight.Offsets[place];

    /// <inheritdoc/>
    public static float Number(QuantizedWeightView weight, int place, int code) => code + QuantizedCodes.Bias - weight.Offsets[place];

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 Half(ArrayView<Word4> codes, int start, int piece, int half) => codes[start + (2 * piece) + half];

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 First(Word4 half, float scale, float offset) => Eight(half.X, half.Y, scale, offset);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 Last(Word4 half, float scale, float offset) => Eight(half.Z, half.W, scale, offset);

    /// <inheritdoc/>
    public static int Code(ArrayView<Word4> codes, int piece, int index)
    {
        Word4 all = codes[(2 * piece) + (index >> 4)];
        int word = (index >> 2) & 3;
        uint low = word == 0 ? all.X : all.Y;
        uint high = word == 2 ? all.Z : all.W;
        return (int)(((word < 2 ? low : high) >> (8 * (index & 3))) & 255u);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightCodes Eight(Word4 chunk, int index, float offset)
    {
        uint low = index == 0 ? chunk.X : chunk.Z;
        uint high = index == 0 ? chunk.Y : chunk.W;
        return new EightCodes(Four(low, offset), Four(high, offset));
    }

    private static Float4 Four(uint codes, float offset) => new(
        QuantizedCodes.Biased0(codes) - offset,
        QuantizedCodes.Biased1(codes) - offset,
        QuantizedCodes.Biased2(codes) - offset,
        QuantizedCodes.Biased3(codes) - offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Word4 Eight(uint low, uint high, float scale, float offset) => new(
        BFloat16Pair.Pack((QuantizedCodes.Biased0(low) - offset) * scale, (QuantizedCodes.Biased1(low) - offset) * scale),
        BFloat16Pair.Pack((QuantizedCodes.Biased2(low) - offset) * scale, (QuantizedCodes.Biased3(low) - offset) * scale),
        BFloat16Pair.Pack((QuantizedCodes.Biased0(high) - offset) * scale, (QuantizedCodes.Biased1(high) - offset) * scale),
        BFloat16Pair.Pack((QuantizedCodes.Biased2(high) - offset) * scale, (QuantizedCodes.Biased3(high) - offset) * scale));
}
