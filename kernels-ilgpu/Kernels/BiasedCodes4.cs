using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// <see cref="Codes4"/> whose floats are 16 too large, which a sum over a piece takes off at once: an instruction less for each code, and sums
/// some bits less exact, as bfloat16 does not notice.
/// </summary>
public readonly struct BiasedCodes4 : ICodeFormat
{
    /// <inheritdoc/>
    public static int Chunks => Codes4.Chunks;

    /// <inheritdoc/>
    public static int ChunkShift => Codes4.ChunkShift;

    /// <inheritdoc/>
    public static float Excess => QuantizedCodes.SmallBias;

    /// <inheritdoc/>
    public static float Offset(QuantizedWeightView weight, int place) => Codes4.Offset(weight, place);

    /// <inheritdoc/>
    public static float Number(QuantizedWeightView weight, int place, int code) => Codes4.Number(weight, place, code);

    /// <inheritdoc/>
    public static Word4 Half(ArrayView<Word4> codes, int start, int piece, int half) => Codes4.Half(codes, start, piece, half);

    /// <inheritdoc/>
    public static Word4 First(Word4 half, float scale, float offset) => Codes4.First(half, scale, offset);

    /// <inheritdoc/>
    public static Word4 Last(Word4 half, float scale, float offset) => Codes4.Last(half, scale, offset);

    /// <inheritdoc/>
    public static int Code(ArrayView<Word4> codes, int piece, int index) => Codes4.Code(codes, piece, index);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightCodes Eight(Word4 chunk, int index, float offset)
    {
        uint codes = Codes4.Word(chunk, index);
        uint even = QuantizedCodes.SmallEven(codes);
        uint odd = QuantizedCodes.SmallOdd(codes);
        return new EightCodes(
            new Float4(QuantizedCodes.Small0(even), QuantizedCodes.Small0(odd), QuantizedCodes.Small1(even), QuantizedCodes.Small1(odd)),
            new Float4(QuantizedCodes.Small2(even), QuantizedCodes.Small2(odd), QuantizedCodes.Small3(even), QuantizedCodes.Small3(odd)));
    }
}
