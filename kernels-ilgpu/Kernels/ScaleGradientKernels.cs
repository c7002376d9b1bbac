using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// Sums of a strip of dL/dW over the groups of a quantised weight, each element times what its code stands for; a warp takes a row, and
/// each scale's gradient is one sum in an order that is always the same.
/// </summary>
public static class ScaleGradientKernels
{
    /// <summary>Rows of a group.</summary>
    public const int RowsPerGroup = Threads / 32;

    /// <summary>Codes of at most 4 bits.</summary>
    public static readonly Kernel<Arguments> Sum4 = new(RunSum<Codes4>, Threads);

    /// <summary>Codes of 8 bits.</summary>
    public static readonly Kernel<Arguments> Sum8 = new(RunSum<Codes8>, Threads);

    /// <summary>Codes of a book.</summary>
    public static readonly Kernel<Arguments> SumBook = new(RunSum<BookCodes4>, Threads);

    private const int Threads = 128;

    private static void RunSum<TFormat>(Arguments arguments)
        where TFormat : struct, ICodeFormat
    {
        int lane = Group.IdxX & 31;
        int stripRow = (Grid.IdxX * RowsPerGroup) + (Group.IdxX >> 5);
        if (stripRow >= arguments.Rows)
        {
            return;
        }

        QuantizedWeightView weight = arguments.Weight;
        ArrayView<float> dScales = arguments.DScales;
        int row = arguments.FirstRow + stripRow;
        int panel = row / GemmTile.Size * weight.Pieces;
        float sum = 0f;
        for (int piece = 0; piece < weight.Pieces; piece++)
        {
            int group = weight.PieceGroups[piece];
            int column = arguments.ColumnMap[(piece * GemmTile.Depth) + lane];
            if (column >= 0)
            {
                int code = TFormat.Code(weight.Codes, ((panel + piece) * GemmTile.Size) + (row % GemmTile.Size), lane);
                sum += arguments.DWeight[(stripRow * arguments.Columns) + column] * TFormat.Number(weight, (group * weight.PaddedRows) + row, code);
            }

            // The pieces of a group follow one another.
            if (piece + 1 == weight.Pieces || weight.PieceGroups[piece + 1] != group)
            {
                float total = WarpReduction.Sum(sum);
                if (lane == 0)
                {
                    dScales[(row * arguments.Groups) + group] += total;
                }

                sum = 0f;
            }
        }
    }

    /// <summary>What the kernels are given.</summary>
    /// <param name="DWeight">[Rows, Columns]: the strip.</param>
    /// <param name="Weight">The whole weight.</param>
    /// <param name="ColumnMap">Column of the weight for each column of the pieces, −1 for none.</param>
    /// <param name="FirstRow">Of the strip in the weight.</param>
    /// <param name="Rows">Of the strip.</param>
    /// <param name="Columns">Of the weight.</param>
    /// <param name="Groups">Of a row.</param>
    /// <param name="DScales">[outDim, Groups], added to.</param>
    public readonly record struct Arguments(
        ArrayView<float> DWeight, QuantizedWeightView Weight, ArrayView<int> ColumnMap, int FirstRow, int Rows, int Columns, int Groups, ArrayView<float> DScales);
}
