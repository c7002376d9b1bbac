using System.Numerics;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// A weight [outDim, inDim] as block-wise quantisation stores it: one row-major stream of codes and a scale for each block of it; blocks
/// run across rows. value = scale · level(code).
/// </summary>
public sealed record BlockwiseMatrix
{
    /// <summary>Rows: output features.</summary>
    public required int OutDim { get; init; }

    /// <summary>Columns: input features.</summary>
    public required int InDim { get; init; }

    /// <summary>What the codes stand for.</summary>
    public required CodeBook Book { get; init; }

    /// <summary>Weights of a block; the last may be shorter.</summary>
    public required int BlockSize { get; init; }

    /// <summary>Two codes a byte, the first in its upper half. [ceil(outDim · inDim / 2)]</summary>
    public required byte[] Codes { get; init; }

    /// <summary>The largest magnitude of each block, or what double quantisation left of it. [blocks]</summary>
    public required float[] Scales { get; init; }

    /// <summary>How the scales are stored, where they are quantised themselves.</summary>
    public NestedScales? Nested { get; init; }

    /// <summary>Bytes of codes and scales as they are stored.</summary>
    public long StoredBytes => Codes.LongLength + (Nested is null
        ? sizeof(float) * Scales.LongLength
        : Nested.Codes.LongLength + (sizeof(float) * (Nested.Absmax.LongLength + 1)));

    /// <summary>Blocks of a matrix.</summary>
    public static int BlockCount(int outDim, int inDim, int blockSize) => checked((int)((((long)outDim * inDim) + blockSize - 1) / blockSize));

    /// <summary>Columns of a group in the form that the engine multiplies with.</summary>
    /// <param name="inDim">Of the weight.</param>
    /// <param name="blockSize">Weights that share a scale.</param>
    public static int PieceOf(int inDim, int blockSize) => (int)BigInteger.GreatestCommonDivisor(inDim, blockSize);

    /// <summary>The form that the engine multiplies with, of the same values.</summary>
    /// <remarks>
    /// Its groups lie in rows. Where rows are no whole blocks, a group is the largest piece that every block and every row consists of,
    /// and the scale of a block stands beside each of its pieces.
    /// </remarks>
    public QuantizedMatrix ToMatrix()
    {
        int piece = PieceOf(InDim, BlockSize);
        float[] scales = Scales;
        if (piece != BlockSize)
        {
            scales = new float[checked((int)((long)OutDim * InDim / piece))];
            for (int i = 0; i < scales.Length; i++)
            {
                scales[i] = Scales[(int)((long)i * piece / BlockSize)];
            }
        }

        return QuantizedMatrix.FromStream(OutDim, InDim, piece, Codes, scales, Book);
    }
}
