using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>
/// Causal attention on tensor cores, in the flash manner: 64 rows of queries (or keys, for their gradients) stay in registers while the other
/// side goes by in tiles of 32, and neither scores nor probabilities are ever in memory. Sums and softmax are float32.
/// </summary>
/// <remarks>
/// Dao, arXiv:2307.08691, algorithms 1 and 2. Gradients of keys and values have a kernel each, so that a thread's sums stay in its registers;
/// no sum is shared by groups, so that results are always the same. One barrier a tile.
/// </remarks>
public static class CausalAttentionKernels
{
    /// <summary>y and logSumExp, heads of up to 64 numbers.</summary>
    public static readonly Kernel<TileArguments> Forward64 = new(RunForward<Head64>, AttentionTile.Threads, minGroups: 3);

    /// <summary>y and logSumExp, heads of up to 128 numbers.</summary>
    public static readonly Kernel<TileArguments> Forward128 = new(RunForward<Head128>, AttentionTile.Threads, minGroups: 2);

    /// <summary>dq, heads of up to 64 numbers.</summary>
    public static readonly Kernel<TileArguments> QueryGradient64 = new(RunQueryGradient<Head64>, AttentionTile.Threads, minGroups: 3);

    /// <summary>dq, heads of up to 128 numbers.</summary>
    public static readonly Kernel<TileArguments> QueryGradient128 = new(RunQueryGradient<Head128>, AttentionTile.Threads, minGroups: 2);

    /// <summary>dk, heads of up to 64 numbers.</summary>
    public static readonly Kernel<TileArguments> KeyGradient64 = new(RunKeySide<Head64, KeySide>, AttentionTile.Threads, minGroups: 3);

    /// <summary>dk, heads of up to 128 numbers.</summary>
    public static readonly Kernel<TileArguments> KeyGradient128 = new(RunKeySide<Head128, KeySide>, AttentionTile.Threads, minGroups: 2);

    /// <summary>dv, heads of up to 64 numbers.</summary>
    public static readonly Kernel<TileArguments> ValueGradient64 = new(RunKeySide<Head64, ValueSide>, AttentionTile.Threads, minGroups: 3);

    /// <summary>dv, heads of up to 128 numbers.</summary>
    public static readonly Kernel<TileArguments> ValueGradient128 = new(RunKeySide<Head128, ValueSide>, AttentionTile.Threads, minGroups: 2);

    /// <summary>The rows or the keys of every pair one after another, rounded, padded with zeros; two numbers a thread.</summary>
    public static readonly Kernel<PackArguments> Pack = new(RunPack, groupSize: 256);

    private static void RunForward<THead>(TileArguments arguments)
        where THead : struct, IHeadSize
    {
        ArrayView<Word4> first = SharedMemory.Allocate<Word4>(AttentionTile.LeftRows * THead.Size / 8);
        ArrayView<Word4> second = SharedMemory.Allocate<Word4>(AttentionTile.LeftRows * THead.Size / 8);
        AttentionGeometry geometry = arguments.Geometry;

        // The last rows see the most keys; they go first, so that no multiprocessor is left alone with them.
        int pair = Grid.IdxX % arguments.Pairs;
        int left = (arguments.PaddedRows / AttentionTile.LeftRows) - 1 - (Grid.IdxX / arguments.Pairs);
        int row = left * AttentionTile.LeftRows;
        HeadOperand queries = LoadLeft<THead>(first, arguments.Q, (pair * arguments.PaddedRows) + row);
        int tile = AttentionRange.FirstKeyTile(geometry, pair, row);
        int end = AttentionRange.EndKeyTile(geometry, row);
        row += AttentionTile.UpperRow();
        int upperOwn = geometry.OwnKey(row);
        int lowerOwn = geometry.OwnKey(row + 8);
        IssueTile<THead>(first, arguments.K, second, arguments.V, pair * arguments.PaddedKeys, tile, end);
        HeadAccumulators sums = default;
        float upperMaximum = float.NegativeInfinity;
        float lowerMaximum = float.NegativeInfinity;
        float upperTotal = 0f;
        float lowerTotal = 0f;
        for (; tile < end; tile++)
        {
            int start = NextTile<THead>(first, arguments.K, second, arguments.V, pair * arguments.PaddedKeys, tile, end);
            RowAccumulators scores = AttentionWeights.MaskKeys(geometry, pair, upperOwn, lowerOwn, tile, AttentionTile.Scores<THead>(queries, first, start));
            float upper = WarpReduction.Larger(upperMaximum, AttentionWeights.UpperMaximum(scores));
            float lower = WarpReduction.Larger(lowerMaximum, AttentionWeights.LowerMaximum(scores));

            // A row that has seen nothing yet keeps −∞; subtracting 0 instead makes its exponentials 0 and not NaN.
            float upperShift = upper < float.MinValue ? 0f : upper;
            float lowerShift = lower < float.MinValue ? 0f : lower;
            float upperFactor = XMath.Exp(upperMaximum - upperShift);
            float lowerFactor = XMath.Exp(lowerMaximum - lowerShift);
            upperMaximum = upper;
            lowerMaximum = lower;
            scores = AttentionWeights.Exponentials(scores, upperShift, lowerShift);
            upperTotal = (upperTotal * upperFactor) + AttentionWeights.UpperSum(scores);
            lowerTotal = (lowerTotal * lowerFactor) + AttentionWeights.LowerSum(scores);
            sums = AttentionTile.Combine<THead>(AttentionTile.Multiply(sums, upperFactor, lowerFactor), scores, second, start);
        }

        upperTotal = AttentionWeights.QuadSum(upperTotal);
        lowerTotal = AttentionWeights.QuadSum(lowerTotal);
        sums = AttentionTile.Multiply(sums, 1f / upperTotal, 1f / lowerTotal);
        StoreRow<THead>(arguments, pair, row, sums, isUpper: true);
        StoreRow<THead>(arguments, pair, row + 8, sums, isUpper: false);
        if ((Group.IdxX & 3) == 0)
        {
            StoreStatistic(arguments, pair, row, upperMaximum + XMath.Log(upperTotal));
            StoreStatistic(arguments, pair, row + 8, lowerMaximum + XMath.Log(lowerTotal));
        }
    }

    private static void RunQueryGradient<THead>(TileArguments arguments)
        where THead : struct, IHeadSize
    {
        ArrayView<Word4> first = SharedMemory.Allocate<Word4>(AttentionTile.LeftRows * THead.Size / 8);
        ArrayView<Word4> second = SharedMemory.Allocate<Word4>(AttentionTile.LeftRows * THead.Size / 8);
        AttentionGeometry geometry = arguments.Geometry;
        int pair = Grid.IdxX % arguments.Pairs;
        int left = (arguments.PaddedRows / AttentionTile.LeftRows) - 1 - (Grid.IdxX / arguments.Pairs);
        int row = left * AttentionTile.LeftRows;
        HeadOperand queries = LoadLeft<THead>(first, arguments.Q, (pair * arguments.PaddedRows) + row);
        HeadOperand dy = LoadLeft<THead>(second, arguments.Dy, (pair * arguments.PaddedRows) + row);
        int tile = AttentionRange.FirstKeyTile(geometry, pair, row);
        int end = AttentionRange.EndKeyTile(geometry, row);
        row += AttentionTile.UpperRow();
        int upperOwn = geometry.OwnKey(row);
        int lowerOwn = geometry.OwnKey(row + 8);
        int statistic = (pair * arguments.PaddedRows) + row;
        float upperLogSumExp = arguments.LogSumExp[statistic];
        float lowerLogSumExp = arguments.LogSumExp[statistic + 8];
        float upperDelta = arguments.Delta[statistic];
        float lowerDelta = arguments.Delta[statistic + 8];
        IssueTile<THead>(first, arguments.K, second, arguments.V, pair * arguments.PaddedKeys, tile, end);
        HeadAccumulators sums = default;
        for (; tile < end; tile++)
        {
            int start = NextTile<THead>(first, arguments.K, second, arguments.V, pair * arguments.PaddedKeys, tile, end);
            RowAccumulators p = AttentionWeights.MaskKeys(geometry, pair, upperOwn, lowerOwn, tile, AttentionTile.Scores<THead>(queries, first, start));
            p = AttentionWeights.Exponentials(p, upperLogSumExp, lowerLogSumExp);
            RowAccumulators dp = AttentionTile.Scores<THead>(dy, second, start);
            sums = AttentionTile.Combine<THead>(sums, AttentionWeights.Differentiate(p, dp, upperDelta, lowerDelta), first, start);
        }

        sums = AttentionTile.Multiply(sums, arguments.Scale, arguments.Scale);
        StoreRow<THead>(arguments, pair, row, sums, isUpper: true);
        StoreRow<THead>(arguments, pair, row + 8, sums, isUpper: false);
    }

    /// <summary>The gradient of the keys or of the values: both see the same probabilities, column by column.</summary>
    private static void RunKeySide<THead, TSide>(TileArguments arguments)
        where THead : struct, IHeadSize
        where TSide : struct, IKeySide
    {
        ArrayView<Word4> first = SharedMemory.Allocate<Word4>(AttentionTile.LeftRows * THead.Size / 8);
        ArrayView<Word4> second = SharedMemory.Allocate<Word4>(AttentionTile.LeftRows * THead.Size / 8);
        AttentionGeometry geometry = arguments.Geometry;
        int pair = Grid.IdxX % arguments.Pairs;
        int key = Grid.IdxX / arguments.Pairs * AttentionTile.LeftRows;
        HeadOperand keys = LoadLeft<THead>(first, arguments.K, (pair * arguments.PaddedKeys) + key);
        HeadOperand values = default;
        if (TSide.IsKeys)
        {
            values = LoadLeft<THead>(second, arguments.V, (pair * arguments.PaddedKeys) + key);
        }

        int tile = AttentionRange.FirstRowTile(geometry, key);
        int end = AttentionRange.EndRowTile(geometry, pair, key);
        key += AttentionTile.UpperRow();
        IssueTile<THead>(first, arguments.Q, second, arguments.Dy, pair * arguments.PaddedRows, tile, end);
        HeadAccumulators sums = default;
        for (; tile < end; tile++)
        {
            int start = NextTile<THead>(first, arguments.Q, second, arguments.Dy, pair * arguments.PaddedRows, tile, end);
            int statistic = (pair * arguments.PaddedRows) + (tile * AttentionTile.RightRows) + AttentionTile.FirstColumn();
            RowAccumulators p = AttentionWeights.MaskRows(geometry, pair, key, tile, AttentionTile.Scores<THead>(keys, first, start));
            p = AttentionWeights.ColumnExponentials(p, arguments.LogSumExp, statistic);
            if (TSide.IsKeys)
            {
                // The queries are multiplied by the scale already.
                RowAccumulators dp = AttentionTile.Scores<THead>(values, second, start);
                sums = AttentionTile.Combine<THead>(sums, AttentionWeights.ColumnDifferentiate(p, dp, arguments.Delta, statistic), first, start);
            }
            else
            {
                sums = AttentionTile.Combine<THead>(sums, p, second, start);
            }
        }

        StoreKey<THead>(arguments, pair, key, sums, isUpper: true);
        StoreKey<THead>(arguments, pair, key + 8, sums, isUpper: false);
    }

    private static void RunPack(PackArguments arguments)
    {
        AttentionGeometry geometry = arguments.Geometry;
        ArrayView<uint> y = arguments.Y;
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        int word = i % arguments.Pitch;
        int index = i / arguments.Pitch;
        int pair = index / arguments.PaddedRows;
        int row = index - (pair * arguments.PaddedRows);
        if (pair < arguments.Pairs)
        {
            float low = 0f;
            float high = 0f;
            if (row < (arguments.IsKey != 0 ? geometry.KeyCount : geometry.Rows))
            {
                int offset = (arguments.IsKey != 0 ? geometry.KeyOffset(pair, row) : geometry.RowOffset(pair, row)) + (2 * word);
                low = 2 * word < geometry.HeadDim ? arguments.X[offset] : 0f;
                high = (2 * word) + 1 < geometry.HeadDim ? arguments.X[offset + 1] : 0f;
            }

            y[i] = BFloat16Pair.Pack(arguments.Factor * low, arguments.Factor * high);
        }
    }

    /// <summary>The warp's rows of the side that is kept; shared memory is free again when it returns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static HeadOperand LoadLeft<THead>(ArrayView<Word4> tile, ArrayView<Word4> source, int firstRow)
        where THead : struct, IHeadSize
    {
        AttentionTile.Issue<THead>(tile, 0, source, firstRow, AttentionTile.LeftRows);
        AsyncCopy.Commit();
        AsyncCopy.Wait(0);
        Group.Barrier();
        HeadOperand operand = AttentionTile.Load<THead>(tile);
        Group.Barrier();
        return operand;
    }

    /// <summary>Starts copying a tile of both operands of the other side, if there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void IssueTile<THead>(
        ArrayView<Word4> first, ArrayView<Word4> firstSource, ArrayView<Word4> second, ArrayView<Word4> secondSource, int pairRow, int tile, int end)
        where THead : struct, IHeadSize
    {
        if (tile < end)
        {
            int row = pairRow + (tile * AttentionTile.RightRows);
            AttentionTile.Issue<THead>(first, Start<THead>(tile), firstSource, row, AttentionTile.RightRows);
            AttentionTile.Issue<THead>(second, Start<THead>(tile), secondSource, row, AttentionTile.RightRows);
        }

        AsyncCopy.Commit();
    }

    /// <summary>Waits for a tile, starts copying the next over the one before, which nobody reads any more, and says where the tile is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int NextTile<THead>(
        ArrayView<Word4> first, ArrayView<Word4> firstSource, ArrayView<Word4> second, ArrayView<Word4> secondSource, int pairRow, int tile, int end)
        where THead : struct, IHeadSize
    {
        AsyncCopy.Wait(0);
        Group.Barrier();
        IssueTile<THead>(first, firstSource, second, secondSource, pairRow, tile + 1, end);
        return Start<THead>(tile);
    }

    /// <summary>Where a tile is in shared memory.</summary>
    private static int Start<THead>(int tile)
        where THead : struct, IHeadSize => (tile & 1) * (AttentionTile.RightRows << THead.ChunkShift);

    private static void StoreStatistic(TileArguments arguments, int pair, int row, float value)
    {
        if (row < arguments.Geometry.Rows)
        {
            ArrayView<float> logSumExp = arguments.LogSumExp;
            logSumExp[arguments.Geometry.StatisticOffset(pair, row)] = value;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRow<THead>(TileArguments arguments, int pair, int row, HeadAccumulators sums, bool isUpper)
        where THead : struct, IHeadSize
    {
        if (row < arguments.Geometry.Rows)
        {
            Store<THead>(arguments, arguments.Geometry.RowOffset(pair, row), sums, isUpper);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreKey<THead>(TileArguments arguments, int pair, int key, HeadAccumulators sums, bool isUpper)
        where THead : struct, IHeadSize
    {
        if (key < arguments.Geometry.KeyCount)
        {
            Store<THead>(arguments, arguments.Geometry.KeyOffset(pair, key), sums, isUpper);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<THead>(TileArguments arguments, int offset, HeadAccumulators sums, bool isUpper)
        where THead : struct, IHeadSize
    {
        Store(arguments, offset, 0, sums.Part0, isUpper);
        Store(arguments, offset, 32, sums.Part1, isUpper);
        if (THead.Size > 64)
        {
            Store(arguments, offset, 64, sums.Part2, isUpper);
            Store(arguments, offset, 96, sums.Part3, isUpper);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(TileArguments arguments, int offset, int column, RowAccumulators sums, bool isUpper)
    {
        Store(arguments, offset, column, isUpper ? sums.Columns0.X : sums.Columns0.Z, isUpper ? sums.Columns0.Y : sums.Columns0.W);
        Store(arguments, offset, column + 8, isUpper ? sums.Columns1.X : sums.Columns1.Z, isUpper ? sums.Columns1.Y : sums.Columns1.W);
        Store(arguments, offset, column + 16, isUpper ? sums.Columns2.X : sums.Columns2.Z, isUpper ? sums.Columns2.Y : sums.Columns2.W);
        Store(arguments, offset, column + 24, isUpper ? sums.Columns3.X : sums.Columns3.Z, isUpper ? sums.Columns3.Y : sums.Columns3.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(TileArguments arguments, int offset, int column, float even, float odd)
    {
        column += AttentionTile.FirstColumn();
        Store(arguments, offset, column, even);
        Store(arguments, offset, column + 1, odd);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(TileArguments arguments, int offset, int column, float value)
    {
        if (column < arguments.Geometry.HeadDim)
        {
            ArrayView<float> target = arguments.Target;
            int at = offset + column;
            target[at] = arguments.Mode == TargetMode.Add ? target[at] + value : value;
        }
    }

    /// <summary>What the kernels on tensor cores are given. Rows of the operands are heads, padded with zeros to 64 or 128 numbers.</summary>
    /// <param name="Geometry">Shapes and mask.</param>
    /// <param name="Scale">Multiplies the scores.</param>
    /// <param name="Pairs">Of batch entries and key-value heads.</param>
    /// <param name="Q">[pairs, PaddedRows] rows, multiplied by the scale.</param>
    /// <param name="K">[pairs, PaddedKeys] rows.</param>
    /// <param name="V">[pairs, PaddedKeys] rows.</param>
    /// <param name="Dy">[pairs, PaddedRows] rows; a stand-in in the forward pass.</param>
    /// <param name="PaddedRows">A multiple of 64.</param>
    /// <param name="PaddedKeys">A multiple of 64.</param>
    /// <param name="LogSumExp">[batch, heads, seq], written by the forward pass; [pairs, PaddedRows] in the backward one.</param>
    /// <param name="Delta">[pairs, PaddedRows]; a stand-in in the forward pass.</param>
    /// <param name="Target">y, dq, dk or dv.</param>
    /// <param name="Mode">A <see cref="TargetMode"/>.</param>
    public readonly record struct TileArguments(
        AttentionGeometry Geometry,
        float Scale,
        int Pairs,
        ArrayView<Word4> Q,
        ArrayView<Word4> K,
        ArrayView<Word4> V,
        ArrayView<Word4> Dy,
        int PaddedRows,
        int PaddedKeys,
        ArrayView<float> LogSumExp,
        ArrayView<float> Delta,
        ArrayView<float> Target,
        int Mode);

    /// <summary>What <see cref="Pack"/> is given.</summary>
    /// <param name="Geometry">Shapes.</param>
    /// <param name="X">[batch, seq, heads, headDim], or [batch, keys, kvHeads, headDim].</param>
    /// <param name="IsKey">Not 0 for keys and values.</param>
    /// <param name="Factor">Multiplies before rounding.</param>
    /// <param name="Pairs">Of batch entries and key-value heads.</param>
    /// <param name="PaddedRows">Rows of a pair to write.</param>
    /// <param name="Pitch">Words of a row, two numbers each.</param>
    /// <param name="Y">[Pairs, PaddedRows, Pitch]</param>
    public readonly record struct PackArguments(
        AttentionGeometry Geometry, ArrayView<float> X, int IsKey, float Factor, int Pairs, int PaddedRows, int Pitch, ArrayView<uint> Y);
}
