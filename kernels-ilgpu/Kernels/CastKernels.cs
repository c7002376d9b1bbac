using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Activations and factors become operands of the tensor cores: bfloat16, rows padded with zeros to whole steps.</summary>
public static class CastKernels
{
    /// <summary>Two numbers of a matrix a thread, rounded.</summary>
    public static readonly Kernel<PackArguments> Pack = new(RunPack, groupSize: 256);

    /// <summary>As <see cref="Pack"/>, of the transpose; 32 × 64 numbers a group, so that reading and writing go along rows.</summary>
    public static readonly Kernel<PackArguments> PackTransposed = new(RunPackTransposed, groupSize: 256);

    /// <summary>Float32 numbers, one a thread.</summary>
    public static readonly Kernel<WidenArguments> Widen = new(RunWiden, groupSize: 256);

    /// <summary>Bfloat16 numbers, one a thread.</summary>
    public static readonly Kernel<NarrowArguments> Narrow = new(RunNarrow, groupSize: 256);

    private const int TileRows = 32;
    private const int TileWords = 32;

    private static void RunPack(PackArguments arguments)
    {
        ArrayView<uint> y = arguments.Y;
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.PaddedRows * arguments.Pitch)
        {
            int row = i / arguments.Pitch;
            int column = 2 * (i - (row * arguments.Pitch));
            y[i] = BFloat16Pair.Pack(Read(arguments, row, column), Read(arguments, row, column + 1));
        }
    }

    private static float Read(PackArguments arguments, int row, int column)
    {
        int source = column;
        if (arguments.IsMapped != 0)
        {
            source = column < arguments.ColumnMap.IntLength ? arguments.ColumnMap[column] : -1;
        }

        float value = 0f;
        if (row < arguments.Rows && source >= 0 && source < arguments.Columns)
        {
            value = arguments.X.Read((row * arguments.Columns) + source);
        }

        return value;
    }

    /// <summary>y[r, c] = x[c, r]: a tile of x is [64, 32], read along its rows, turned in shared memory.</summary>
    private static void RunPackTransposed(PackArguments arguments)
    {
        ArrayView<uint> y = arguments.Y;
        // One more float a row, so that a column lies in 32 different banks.
        ArrayView<float> tile = SharedMemory.Allocate<float>(2 * TileWords * (TileRows + 1));
        int firstWord = Grid.IdxX * TileWords;
        int firstRow = Grid.IdxY * TileRows;
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        for (int i = warp; i < 2 * TileWords; i += 8)
        {
            int column = (2 * firstWord) + i;
            float value = 0f;
            if (column < arguments.Columns && firstRow + lane < arguments.Rows)
            {
                value = arguments.X.Read((column * arguments.Rows) + firstRow + lane);
            }

            tile[(i * (TileRows + 1)) + lane] = value;
        }

        Group.Barrier();
        for (int i = warp; i < TileRows; i += 8)
        {
            if (firstWord + lane < arguments.Pitch && firstRow + i < arguments.PaddedRows)
            {
                float low = tile[(2 * lane * (TileRows + 1)) + i];
                float high = tile[(((2 * lane) + 1) * (TileRows + 1)) + i];
                y[((firstRow + i) * arguments.Pitch) + firstWord + lane] = BFloat16Pair.Pack(low, high);
            }
        }
    }

    private static void RunWiden(WidenArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            ArrayView<float> y = arguments.Y;
            y[i] = arguments.X.Read(i);
        }
    }

    private static void RunNarrow(NarrowArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            ArrayView<ushort> y = arguments.Y;
            y[i] = (ushort)BFloat16Pair.Pack(arguments.X[i], 0f);
        }
    }

    /// <summary>What <see cref="Widen"/> is given.</summary>
    public readonly record struct WidenArguments(FloatingView X, int Count, ArrayView<float> Y);

    /// <summary>What <see cref="Narrow"/> is given.</summary>
    public readonly record struct NarrowArguments(ArrayView<float> X, int Count, ArrayView<ushort> Y);

    /// <summary>What the kernels of operands are given.</summary>
    /// <param name="X">[Rows, Columns], or [Columns, Rows] if transposed.</param>
    /// <param name="Rows">Of the operand; further rows are 0.</param>
    /// <param name="Columns">Of the operand before padding; further columns are 0.</param>
    /// <param name="ColumnMap">Column of x for each column of the operand, −1 for 0; a stand-in unless <paramref name="IsMapped"/>.</param>
    /// <param name="IsMapped">Not 0: the map counts; not if transposed.</param>
    /// <param name="PaddedRows">Rows to write.</param>
    /// <param name="Pitch">Words of a row of y, two numbers each.</param>
    /// <param name="Y">[PaddedRows, Pitch]</param>
    public readonly record struct PackArguments(
        FloatingView X, int Rows, int Columns, ArrayView<int> ColumnMap, int IsMapped, int PaddedRows, int Pitch, ArrayView<uint> Y);
}
