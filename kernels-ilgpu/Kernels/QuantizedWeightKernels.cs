using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Brings a quantised weight from the order of the host, bit streams row by row, into that of <see cref="QuantizedWeightView"/>.</summary>
public static class QuantizedWeightKernels
{
    /// <summary>Codes of at most 4 bits, one piece of a row a thread.</summary>
    public static readonly Kernel<CodeArguments> Codes4 = new(RunCodes<Codes4>, groupSize: 128);

    /// <summary>Codes of 8 bits, one piece of a row a thread.</summary>
    public static readonly Kernel<CodeArguments> Codes8 = new(RunCodes<Codes8>, groupSize: 128);

    /// <summary>Scales and offsets, one of each a thread.</summary>
    public static readonly Kernel<ScaleArguments> Scales = new(RunScales, groupSize: 256);

    private static void RunCodes<TFormat>(CodeArguments arguments)
        where TFormat : struct, ICodeFormat
    {
        // Neighbours have neighbouring rows, whose chunks lie side by side.
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        int row = i % arguments.PaddedRows;
        int piece = i / arguments.PaddedRows;
        if (piece >= arguments.Pieces)
        {
            return;
        }

        int panel = (arguments.FirstRow + row) / GemmTile.Size;
        int target = (((panel * arguments.Pieces) + piece) * GemmTile.Size) + (row % GemmTile.Size);
        ArrayView<Word4> codes = arguments.Codes;
        for (int chunk = 0; chunk < TFormat.Chunks; chunk++)
        {
            int column = (piece * GemmTile.Depth) + (chunk * (GemmTile.Depth >> TFormat.ChunkShift));
            int perWord = 8 >> TFormat.ChunkShift;
            codes[(target * TFormat.Chunks) + chunk] = new Word4(
                Word<TFormat>(arguments, row, column),
                Word<TFormat>(arguments, row, column + perWord),
                Word<TFormat>(arguments, row, column + (2 * perWord)),
                Word<TFormat>(arguments, row, column + (3 * perWord)));
        }
    }

    /// <summary>The codes that fill a word, 4 or 8 bits each; 0 where there is none.</summary>
    private static uint Word<TFormat>(CodeArguments arguments, int row, int column)
        where TFormat : struct, ICodeFormat
    {
        uint word = 0;
        for (int k = 0; k < 8 >> TFormat.ChunkShift; k++)
        {
            int source = arguments.ColumnMap[column + k];
            if (row < arguments.Rows && source >= 0)
            {
                word |= Code(arguments, row, source) << (4 * TFormat.Chunks * k);
            }
        }

        return word;
    }

    private static uint Code(CodeArguments arguments, int row, int column)
    {
        int bit = column * arguments.Bits;
        int at = (row * arguments.RowWords) + (bit >> 5);
        int shift = bit & 31;
        uint code = arguments.Words[at] >> shift;
        if (shift + arguments.Bits > 32)
        {
            code |= arguments.Words[at + 1] << (32 - shift);
        }

        return code & ((1u << arguments.Bits) - 1u);
    }

    private static void RunScales(ScaleArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        int row = i % arguments.PaddedRows;
        int group = i / arguments.PaddedRows;
        if (group >= arguments.Groups)
        {
            return;
        }

        // Rows that pad have the scale 0, so that their values are 0.
        float scale = 0f;
        float offset = QuantizedCodes.Bias;
        if (row < arguments.Rows)
        {
            int zero = arguments.Zeros[(row * arguments.Groups) + group];
            scale = arguments.RowScales[(row * arguments.Groups) + group];
            offset += zero;
        }

        ArrayView<float> scales = arguments.Scales;
        ArrayView<float> offsets = arguments.Offsets;
        scales[i] = scale;
        offsets[i] = offset;
    }

    /// <summary>What the kernels of codes are given.</summary>
    /// <param name="Words">[Rows, RowWords]: bit streams, code k at bit k · Bits.</param>
    /// <param name="Bits">2, 3, 4 or 8.</param>
    /// <param name="RowWords">Words of a row.</param>
    /// <param name="FirstRow">Of the weight, a multiple of 128.</param>
    /// <param name="Rows">Rows that there are.</param>
    /// <param name="PaddedRows">Rows to write, a multiple of 128.</param>
    /// <param name="ColumnMap">Column of the weight for each column of the pieces, −1 for none.</param>
    /// <param name="Pieces">Of a row.</param>
    /// <param name="Codes">Of the whole weight.</param>
    public readonly record struct CodeArguments(
        ArrayView<uint> Words, int Bits, int RowWords, int FirstRow, int Rows, int PaddedRows, ArrayView<int> ColumnMap, int Pieces, ArrayView<Word4> Codes);

    /// <summary>What <see cref="Scales"/> is given.</summary>
    /// <param name="RowScales">[Rows, Groups]</param>
    /// <param name="Zeros">[Rows, Groups]</param>
    /// <param name="Rows">Of the weight.</param>
    /// <param name="Groups">Of a row.</param>
    /// <param name="PaddedRows">Rows to write.</param>
    /// <param name="Scales">[Groups, PaddedRows]</param>
    /// <param name="Offsets">[Groups, PaddedRows]</param>
    public readonly record struct ScaleArguments(
        ArrayView<float> RowScales, ArrayView<byte> Zeros, int Rows, int Groups, int PaddedRows, ArrayView<float> Scales, ArrayView<float> Offsets);
}
