using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// y = x · Wᵀ + low · factorᵀ of at most eight rows with a quantised weight, as in decoding: the codes go by once, 128 bits a thread, and
/// neither they nor x are rounded, sums are float32.
/// </summary>
/// <remarks>
/// A group makes 16 columns of y. A warp takes four pieces of 32 inputs at a time: eight threads share one and read its chunks of the 16 rows
/// side by side, 128 bytes at once. x lies in shared memory, of each warp its own pieces, so that warps never wait for each other before
/// they add up.
/// </remarks>
public static class QLoraLinearFewRowsKernels
{
    /// <summary>Columns of y that a group makes.</summary>
    public const int GroupColumns = 16;

    /// <summary>Codes of at most 4 bits for precisions that round, one row.</summary>
    public static readonly Kernel<ProductArguments> Forward4Rows1 = new(Run<BiasedCodes4, Rows1>, FewRows.Threads, minGroups: 4);

    /// <summary>Codes of at most 4 bits for precisions that round, two rows.</summary>
    public static readonly Kernel<ProductArguments> Forward4Rows2 = new(Run<BiasedCodes4, Rows2>, FewRows.Threads, minGroups: 3);

    /// <summary>Codes of at most 4 bits for precisions that round, up to four rows.</summary>
    public static readonly Kernel<ProductArguments> Forward4Rows4 = new(Run<BiasedCodes4, Rows4>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of at most 4 bits for precisions that round, up to eight rows.</summary>
    public static readonly Kernel<ProductArguments> Forward4Rows8 = new(Run<BiasedCodes4, Rows8>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of at most 4 bits exactly, one row.</summary>
    public static readonly Kernel<ProductArguments> Exact4Rows1 = new(Run<Codes4, Rows1>, FewRows.Threads, minGroups: 3);

    /// <summary>Codes of at most 4 bits exactly, two rows.</summary>
    public static readonly Kernel<ProductArguments> Exact4Rows2 = new(Run<Codes4, Rows2>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of at most 4 bits exactly, up to four rows.</summary>
    public static readonly Kernel<ProductArguments> Exact4Rows4 = new(Run<Codes4, Rows4>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of at most 4 bits exactly, up to eight rows.</summary>
    public static readonly Kernel<ProductArguments> Exact4Rows8 = new(Run<Codes4, Rows8>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of a book, one row.</summary>
    public static readonly Kernel<ProductArguments> BookRows1 = new(Run<BookCodes4, Rows1>, FewRows.Threads, minGroups: 3);

    /// <summary>Codes of a book, two rows.</summary>
    public static readonly Kernel<ProductArguments> BookRows2 = new(Run<BookCodes4, Rows2>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of a book, up to four rows.</summary>
    public static readonly Kernel<ProductArguments> BookRows4 = new(Run<BookCodes4, Rows4>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of a book, up to eight rows.</summary>
    public static readonly Kernel<ProductArguments> BookRows8 = new(Run<BookCodes4, Rows8>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of 8 bits, one row.</summary>
    public static readonly Kernel<ProductArguments> Forward8Rows1 = new(Run<Codes8, Rows1>, FewRows.Threads, minGroups: 3);

    /// <summary>Codes of 8 bits, two rows.</summary>
    public static readonly Kernel<ProductArguments> Forward8Rows2 = new(Run<Codes8, Rows2>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of 8 bits, up to four rows.</summary>
    public static readonly Kernel<ProductArguments> Forward8Rows4 = new(Run<Codes8, Rows4>, FewRows.Threads, minGroups: 2);

    /// <summary>Codes of 8 bits, up to eight rows.</summary>
    public static readonly Kernel<ProductArguments> Forward8Rows8 = new(Run<Codes8, Rows8>, FewRows.Threads, minGroups: 2);

    private const int WarpPieces = 4;

    /// <summary>Fours of x in a piece.</summary>
    private const int PieceFours = GemmTile.Depth / 4;

    /// <summary>Fours of a row of x that a warp has at a time.</summary>
    private const int WarpFours = WarpPieces * PieceFours;

    private static void Run<TFormat, TRows>(ProductArguments arguments)
        where TFormat : struct, ICodeFormat
        where TRows : struct, IRowCount
    {
        ArrayView<Float4> tile = SharedMemory.Allocate<Float4>(FewRows.Warps * TRows.Count * WarpFours);
        ArrayView<float> partial = SharedMemory.Allocate<float>(FewRows.Warps * TRows.Count * GroupColumns);
        QuantizedWeightView weight = arguments.Weight;
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        int start = warp * TRows.Count * WarpFours;
        int ownPiece = (warp * WarpPieces) + (lane >> 3);
        RowSums sums = default;
        RowSums more = default;
        for (int first = 0; first < weight.Pieces; first += FewRows.Warps * WarpPieces)
        {
            // Threads past the last piece go on with zeros of x.
            int piece = first + ownPiece < weight.Pieces ? first + ownPiece : weight.Pieces - 1;
            RowTotals ofX = LoadX<TFormat, TRows>(arguments, tile, start, first + ownPiece);
            Warp.Barrier();
            sums = Pair<TFormat, TRows>(sums, arguments, tile, start, piece, ofX, 0);
            if (TFormat.Chunks > 1)
            {
                more = Pair<TFormat, TRows>(more, arguments, tile, start, piece, ofX, 1);
            }

            Warp.Barrier();
        }

        Combine<TFormat, TRows>(sums, partial, 0);
        if (TFormat.Chunks > 1)
        {
            Combine<TFormat, TRows>(more, partial, 1);
        }

        Group.Barrier();
        if (Group.IdxX < arguments.Rows * GroupColumns)
        {
            Store<TRows>(arguments, partial, Group.IdxX / GroupColumns, Group.IdxX % GroupColumns);
        }
    }

    /// <summary>Brings the thread's four numbers of every row of x into shared memory; gives the sums over its piece where the format needs them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static RowTotals LoadX<TFormat, TRows>(ProductArguments arguments, ArrayView<Float4> tile, int start, int piece)
        where TFormat : struct, ICodeFormat
        where TRows : struct, IRowCount => new(
            LoadFour<TFormat, TRows>(arguments, tile, start, piece, 0),
            LoadFour<TFormat, TRows>(arguments, tile, start, piece, 1),
            LoadFour<TFormat, TRows>(arguments, tile, start, piece, 2),
            LoadFour<TFormat, TRows>(arguments, tile, start, piece, 3),
            LoadFour<TFormat, TRows>(arguments, tile, start, piece, 4),
            LoadFour<TFormat, TRows>(arguments, tile, start, piece, 5),
            LoadFour<TFormat, TRows>(arguments, tile, start, piece, 6),
            LoadFour<TFormat, TRows>(arguments, tile, start, piece, 7));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float LoadFour<TFormat, TRows>(ProductArguments arguments, ArrayView<Float4> tile, int start, int piece, int row)
        where TFormat : struct, ICodeFormat
        where TRows : struct, IRowCount
    {
        float sum = 0f;
        if (row < TRows.Count)
        {
            int lane = Group.IdxX & 31;
            Float4 four = Four(arguments, piece, row, 4 * (lane & 7));
            tile[start + (row * WarpFours) + lane] = four;
            if (TFormat.Excess > 0f)
            {
                sum = four.X + four.Y + (four.Z + four.W);
                sum += Warp.ShuffleXor(sum, 4);
                sum += Warp.ShuffleXor(sum, 2);
                sum += Warp.ShuffleXor(sum, 1);
            }
        }

        return sum;
    }

    /// <summary>Four numbers of a piece of x; 0 past the ends.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Four(ProductArguments arguments, int piece, int row, int index)
    {
        Float4 four = default;
        if (row < arguments.Rows && piece < arguments.Weight.Pieces)
        {
            int column = (piece * GemmTile.Depth) + index;
            if (arguments.InFours == 0)
            {
                four = new Float4(One(arguments, row, column), One(arguments, row, column + 1), One(arguments, row, column + 2), One(arguments, row, column + 3));
            }
            else if (column < arguments.InDim)
            {
                four = arguments.XFours[((row * arguments.InDim) + column) >> 2];
            }
        }

        return four;
    }

    private static float One(ProductArguments arguments, int row, int column)
    {
        int source = arguments.IsMapped != 0 ? arguments.ColumnMap[column] : column;
        float value = 0f;
        if (source >= 0 && source < arguments.InDim)
        {
            value = arguments.X[(row * arguments.InDim) + source];
        }

        return value;
    }

    /// <summary>Adds a piece of the two rows whose chunks the thread reads: chunk lane % 8 of the first or second 256 bytes of the group's rows, and the one 128 bytes on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static RowSums Pair<TFormat, TRows>(
        RowSums sums, ProductArguments arguments, ArrayView<Float4> tile, int start, int piece, RowTotals ofX, int pair)
        where TFormat : struct, ICodeFormat
        where TRows : struct, IRowCount
    {
        QuantizedWeightView weight = arguments.Weight;
        int slot = (Group.IdxX & 7) + (16 * pair);
        int column = Grid.IdxX * GroupColumns;
        int row = column + (slot >> TFormat.ChunkShift);
        int other = column + ((slot + 8) >> TFormat.ChunkShift);
        int chunk = ((((column / GemmTile.Size) * weight.Pieces) + piece) * GemmTile.Size) + (column % GemmTile.Size);
        Word4 firstChunk = weight.Codes[(chunk << TFormat.ChunkShift) + slot];
        Word4 secondChunk = weight.Codes[(chunk << TFormat.ChunkShift) + slot + 8];
        int place = weight.PieceGroups[piece] * weight.PaddedRows;
        float firstScale = weight.Scales[place + row];
        float secondScale = weight.Scales[place + other];
        float firstOffset = TFormat.Offset(weight, place + row);
        float secondOffset = TFormat.Offset(weight, place + other);

        // With two chunks a piece, the threads of one parity have the first half of it.
        int at = start + (((Group.IdxX & 31) >> 3) * PieceFours) + ((slot & (TFormat.Chunks - 1)) * (PieceFours >> TFormat.ChunkShift));
        RowSums part = default;
        for (int eight = 0; eight < 4 >> TFormat.ChunkShift; eight++)
        {
            part = FewRows.MultiplyAdd<TRows>(
                part,
                TFormat.Eight(firstChunk, eight, firstOffset),
                TFormat.Eight(secondChunk, eight, secondOffset),
                tile,
                at + (2 * eight),
                at + (2 * eight) + 1,
                WarpFours,
                TRows.Count);
        }

        float firstExcess = Excess<TFormat>(firstOffset);
        float secondExcess = Excess<TFormat>(secondOffset);
        return new RowSums(
            Scaled(sums.Row0, part.Row0, ofX.Row0, firstScale, firstExcess, secondScale, secondExcess),
            Scaled(sums.Row1, part.Row1, ofX.Row1, firstScale, firstExcess, secondScale, secondExcess),
            Scaled(sums.Row2, part.Row2, ofX.Row2, firstScale, firstExcess, secondScale, secondExcess),
            Scaled(sums.Row3, part.Row3, ofX.Row3, firstScale, firstExcess, secondScale, secondExcess),
            Scaled(sums.Row4, part.Row4, ofX.Row4, firstScale, firstExcess, secondScale, secondExcess),
            Scaled(sums.Row5, part.Row5, ofX.Row5, firstScale, firstExcess, secondScale, secondExcess),
            Scaled(sums.Row6, part.Row6, ofX.Row6, firstScale, firstExcess, secondScale, secondExcess),
            Scaled(sums.Row7, part.Row7, ofX.Row7, firstScale, firstExcess, secondScale, secondExcess));
    }

    /// <summary>How much each number of the part is too large: the format's excess and the zero point.</summary>
    private static float Excess<TFormat>(float offset)
        where TFormat : struct, ICodeFormat => TFormat.Excess > 0f ? offset - (QuantizedCodes.Bias - TFormat.Excess) : 0f;

    /// <summary>sums + scale · (part − excess · sum of x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static SumPair Scaled(SumPair sums, SumPair part, float ofX, float firstScale, float firstExcess, float secondScale, float secondExcess) => new(
        sums.First + (firstScale * (part.First - (firstExcess * ofX))),
        sums.Second + (secondScale * (part.Second - (secondExcess * ofX))));

    /// <summary>Adds up what the threads of a warp have of the same rows, and leaves it to the group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Combine<TFormat, TRows>(RowSums sums, ArrayView<float> partial, int pair)
        where TFormat : struct, ICodeFormat
        where TRows : struct, IRowCount
    {
        int lane = Group.IdxX & 31;
        int slot = (lane & 7) + (16 * pair);
        bool stores = lane < 8 && (slot & (TFormat.Chunks - 1)) == 0;
        for (int row = 0; row < TRows.Count; row++)
        {
            int start = ((Group.IdxX >> 5) * TRows.Count * GroupColumns) + (row * GroupColumns);
            SumPair own = FewRows.Select(sums, row);
            float first = OverPieces<TFormat>(own.First);
            float second = OverPieces<TFormat>(own.Second);
            if (stores)
            {
                partial[start + (slot >> TFormat.ChunkShift)] = first;
                partial[start + ((slot + 8) >> TFormat.ChunkShift)] = second;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float OverPieces<TFormat>(float value)
        where TFormat : struct, ICodeFormat
    {
        if (TFormat.Chunks > 1)
        {
            value += Warp.ShuffleXor(value, 1);
        }

        value += Warp.ShuffleXor(value, 8);
        return value + Warp.ShuffleXor(value, 16);
    }

    /// <summary>Adds up the warps in their order, then the adapter's share of one element of y.</summary>
    private static void Store<TRows>(ProductArguments arguments, ArrayView<float> partial, int row, int index)
        where TRows : struct, IRowCount
    {
        int column = (Grid.IdxX * GroupColumns) + index;
        float sum = 0f;
        for (int warp = 0; warp < FewRows.Warps; warp++)
        {
            sum += partial[(((warp * TRows.Count) + row) * GroupColumns) + index];
        }

        if (column < arguments.OutDim)
        {
            for (int r = 0; r < arguments.Rank; r++)
            {
                sum += arguments.Low[(row * arguments.Rank) + r] * arguments.Factor[(column * arguments.Rank) + r];
            }

            ArrayView<float> y = arguments.Y;
            int at = (row * arguments.OutDim) + column;
            y[at] = arguments.Accumulate != 0 ? y[at] + sum : sum;
        }
    }

    /// <summary>What the products are given.</summary>
    /// <param name="X">[Rows, InDim]</param>
    /// <param name="XFours">The same in fours; a stand-in unless <paramref name="InFours"/>.</param>
    /// <param name="InFours">Not 0: columns are in their own order and rows in whole, aligned fours.</param>
    /// <param name="Rows">1–8.</param>
    /// <param name="InDim">Columns of x.</param>
    /// <param name="Weight">Codes.</param>
    /// <param name="ColumnMap">Column of x for each column of the pieces, −1 for none.</param>
    /// <param name="IsMapped">Not 0: the map counts.</param>
    /// <param name="Low">[Rows, Rank], or a stand-in.</param>
    /// <param name="Factor">[OutDim, Rank], or a stand-in.</param>
    /// <param name="Rank">0 without an adapter.</param>
    /// <param name="OutDim">Columns of y.</param>
    /// <param name="Accumulate">Not 0: add to y.</param>
    /// <param name="Y">[Rows, OutDim]</param>
    public readonly record struct ProductArguments(
        ArrayView<float> X,
        ArrayView<Float4> XFours,
        int InFours,
        int Rows,
        int InDim,
        QuantizedWeightView Weight,
        ArrayView<int> ColumnMap,
        int IsMapped,
        ArrayView<float> Low,
        ArrayView<float> Factor,
        int Rank,
        int OutDim,
        int Accumulate,
        ArrayView<float> Y);
}
