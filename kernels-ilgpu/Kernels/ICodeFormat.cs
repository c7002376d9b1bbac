using ILGPU;

namespace PureQLora.Kernels;

/// <summary>How the codes of a weight lie in memory: 32 of them, a piece of a row, in whole chunks of 16 bytes.</summary>
public interface ICodeFormat
{
    /// <summary>Chunks of 32 codes.</summary>
    static abstract int Chunks { get; }

    /// <summary>Logarithm to base 2 of <see cref="Chunks"/>: ILGPU divides by a constant as by any number.</summary>
    static abstract int ChunkShift { get; }

    /// <summary>The chunk with one half of the 32 codes of a piece.</summary>
    /// <param name="codes">Shared.</param>
    /// <param name="start">Where the pieces start.</param>
    /// <param name="piece">Which one.</param>
    /// <param name="half">0 or 1.</param>
    static abstract Word4 Half(ArrayView<Word4> codes, int start, int piece, int half);

    /// <summary>scale · (code + 2^23 − offset) of the first eight codes of a half, rounded to bfloat16.</summary>
    static abstract Word4 First(Word4 half, float scale, float offset);

    /// <summary>As <see cref="First"/>, of the last eight.</summary>
    static abstract Word4 Last(Word4 half, float scale, float offset);

    /// <summary>One code of a piece, as a number.</summary>
    /// <param name="codes">Global.</param>
    /// <param name="piece">Which one of all.</param>
    /// <param name="index">0 … 31.</param>
    static abstract int Code(ArrayView<Word4> codes, int piece, int index);

    /// <summary>What stands beside a scale: 2^23 plus the zero point, or the level of the thread's lane.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="place">Of the scale.</param>
    static abstract float Offset(QuantizedWeightView weight, int place);

    /// <summary>What a code stands for before it is scaled.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="place">Of the scale.</param>
    /// <param name="code">From <see cref="Code"/>.</param>
    static abstract float Number(QuantizedWeightView weight, int place, int code);

    /// <summary>How much larger than the codes, or than the codes less the zero point where it is 0, are the numbers of <see cref="Eight"/>.</summary>
    static abstract float Excess { get; }

    /// <summary>Eight codes of a chunk as floats, exactly.</summary>
    /// <param name="chunk">A piece, or a half of one.</param>
    /// <param name="index">Which eight of it.</param>
    /// <param name="offset">From <see cref="Offset"/>.</param>
    static abstract EightCodes Eight(Word4 chunk, int index, float offset);
}
