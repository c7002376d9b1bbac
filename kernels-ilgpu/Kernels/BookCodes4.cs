using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// Codes of 4 bits that a book of sixteen levels explains (NF4, FP4): 32 in one chunk, as <see cref="Codes4"/>. Each thread holds the level of
/// its lane, which stands where others have an offset, and a number is fetched from the lane that its code names; whole warps call together.
/// </summary>
public readonly struct BookCodes4 : ICodeFormat
{
    /// <inheritdoc/>
    public static int Chunks => 1;

    /// <inheritdoc/>
    public static int ChunkShift => 0;

    /// <inheritdoc/>
    public static float Excess => 0f;

    /// <inheritdoc/>
    public static float Offset(QuantizedWeightView weight, int place) => weight.Offsets[Group.IdxX & 15];

    /// <inheritdoc/>
    public static float Number(QuantizedWeightView weight, int place, int code) => weight.Offsets[code];

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 Half(ArrayView<Word4> codes, int start, int piece, int half) => Codes4.Half(codes, start, piece, half);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 First(Word4 half, float scale, float offset) => Scaled(Levels(half.X, offset), scale);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Word4 Last(Word4 half, float scale, float offset) => Scaled(Levels(half.Y, offset), scale);

    /// <inheritdoc/>
    public static int Code(ArrayView<Word4> codes, int piece, int index) => Codes4.Code(codes, piece, index);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EightCodes Eight(Word4 chunk, int index, float offset) => Levels(Codes4.Word(chunk, index), offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Word4 Scaled(EightCodes levels, float scale) => new(
        BFloat16Pair.Pack(levels.Low.X * scale, levels.Low.Y * scale),
        BFloat16Pair.Pack(levels.Low.Z * scale, levels.Low.W * scale),
        BFloat16Pair.Pack(levels.High.X * scale, levels.High.Y * scale),
        BFloat16Pair.Pack(levels.High.Z * scale, levels.High.W * scale));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static EightCodes Levels(uint codes, float ofLane) => new(
        new Float4(Level(codes, ofLane), Level(codes >> 4, ofLane), Level(codes >> 8, ofLane), Level(codes >> 12, ofLane)),
        new Float4(Level(codes >> 16, ofLane), Level(codes >> 20, ofLane), Level(codes >> 24, ofLane), Level(codes >> 28, ofLane)));

    private static float Level(uint codes, float ofLane) => Warp.Shuffle(ofLane, (int)(codes & 15u));
}
