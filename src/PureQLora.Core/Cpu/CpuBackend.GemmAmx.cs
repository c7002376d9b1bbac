namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>
    /// Up to so many rows are multiplied without tiles. Not measured: at the rates of one core of a Sapphire Rapids (121 G products a
    /// second in float32, 25 G weights packed, 900 G products on tiles of 16 rows) both cost the same at 7 rows.
    /// </summary>
    private const int FewTileRows = 6;

    /// <summary>
    /// A product on AMX tiles. Packed like every bfloat16 product; unlike the others it keeps its sums in compact tiles over all inner
    /// blocks and writes the result once.
    /// </summary>
    internal void AmxProduct<TKernels>(in GemmProblem problem)
        where TKernels : struct, IAmxKernels
    {
        GemmPlan<BFloat16Format<AmxTiles<TKernels>>> plan = new(problem);
        long rowBlock = Math.Min(plan.RowBlock, problem.M);
        long blockBytes = BFloat16Format<AmxTiles<TKernels>>.LeftBytes(rowBlock + AmxTiles<TKernels>.TallestRows, BFloat16Panels.InnerBlock);
        using Scratch left = Scratch.Rent(plan.Blocks * blockBytes / sizeof(float));
        for (long row = 0; row < problem.M; row += rowBlock)
        {
            long rows = Math.Min(rowBlock, problem.M - row);
            LeftPackBody<BFloat16Format<AmxTiles<TKernels>>> pack = new(problem, plan, row, rows, (byte*)left.Floats, blockBytes);
            _pool.For(pack.Count, 1, ref pack);
            AmxBody<TKernels> body = new(problem, plan, row, rows, (byte*)left.Floats, blockBytes);
            _pool.For(body.Count, 1, ref body);
        }
    }

    /// <summary>
    /// One item is a group of rows by a group of column panels, in parts whose sums fit the L2 cache. Of each inner block it packs its
    /// columns, then multiplies them with some rows at a time that fit there too.
    /// </summary>
    private readonly struct AmxBody<TKernels>(
        GemmProblem problem, GemmPlan<BFloat16Format<AmxTiles<TKernels>>> plan, long row, long rows, byte* left, long blockBytes) : IParallelRange
        where TKernels : struct, IAmxKernels
    {
        /// <summary>Floats of the sums of one part: 1 MiB, half of an L2 cache.</summary>
        private const int SumsBudget = 1 << 18;

        /// <summary>Rows of a left block that are multiplied with every panel before the next ones are: 272 KiB.</summary>
        private const int CachedRows = 256;

        /// <summary>Bytes that one product brings into the L2 cache for later ones.</summary>
        private const int PrefetchedBytes = 4 << 10;

        private readonly GemmProblem _problem = problem;
        private readonly GemmPlan<BFloat16Format<AmxTiles<TKernels>>> _plan = plan;

        /// <summary>The last group takes what is left.</summary>
        private long Down => Math.Max(1, rows / _plan.RowGroup);

        private int ColumnGroup => _plan.Panels * BFloat16Panels.Columns;

        private int PartRows => SumsBudget / ColumnGroup / CachedRows * CachedRows;

        public long Count => Down * ((_problem.N + ColumnGroup - 1) / ColumnGroup);

        public void Run(long start, long end)
        {
            for (long item = start; item < end; item++)
            {
                (long across, long down) = Math.DivRem(item, Down);
                long first = down * _plan.RowGroup;
                long last = down == Down - 1 ? rows : first + _plan.RowGroup;
                for (long part = first; part < last; part += PartRows)
                {
                    RunPart(part, (int)Math.Min(PartRows, last - part), across * ColumnGroup);
                }
            }
        }

        private void RunPart(long firstRow, int partRows, long column)
        {
            int columns = (int)Math.Min(ColumnGroup, _problem.N - column);
            int panels = (columns + BFloat16Panels.Columns - 1) / BFloat16Panels.Columns;
            long tiles = (long)panels * ((partRows + AmxTiles<TKernels>.TallestRows - 1) / AmxTiles<TKernels>.TallestRows);
            using Scratch sums = Scratch.Rent(tiles * AmxTiles<TKernels>.SumsLength);
            using Scratch right = Scratch.Rent(panels * BFloat16Format<AmxTiles<TKernels>>.RightBytes(BFloat16Panels.InnerBlock) / sizeof(float));
            using Scratch buffer = Scratch.Rent(Math.Max(AmxTiles<TKernels>.PaddingLength, BFloat16Format<AmxTiles<TKernels>>.BufferLength(ColumnGroup)));
            for (long block = 0; block < _plan.Blocks; block++)
            {
                (long inner, int depth) = _plan.Block(block);
                ref readonly GemmTerm term = ref block < _plan.FirstBlocks ? ref _problem.First : ref _problem.Second;
                BFloat16Format<AmxTiles<TKernels>>.PackRight(
                    term.Right, term.RightIsInner, column, columns, inner, depth, (byte*)right.Floats, buffer.Floats);
                Multiply(firstRow, partRows, panels, block, depth, (byte*)right.Floats, sums.Floats, (byte*)buffer.Floats);
            }

            Store(firstRow, partRows, column, columns, sums.Floats);
        }

        /// <summary>Adds the products of one block. Sums lie in the order in which they are used.</summary>
        private void Multiply(long firstRow, int partRows, int panels, long block, int depth, byte* right, float* sums, byte* padding)
        {
            long panelBytes = BFloat16Format<AmxTiles<TKernels>>.RightBytes(depth);
            byte* packed = left + (block * blockBytes) + (firstRow * BFloat16Panels.LeftStride);
            for (int cached = 0; cached < partRows; cached += CachedRows)
            {
                int cachedRows = Math.Min(CachedRows, partRows - cached);

                // While these rows are multiplied, the ones after them come: of this block, or of the next.
                byte* next = cached + cachedRows < partRows ? packed + ((long)(cached + cachedRows) * BFloat16Panels.LeftStride) : packed + blockBytes;
                for (int panel = 0; panel < panels; panel++)
                {
                    for (int tile = 0; tile < cachedRows; tile += AmxTiles<TKernels>.TallestRows)
                    {
                        int height = Math.Min(AmxTiles<TKernels>.TallestRows, cachedRows - tile);
                        byte* rowsOfTile = packed + ((long)(cached + tile) * BFloat16Panels.LeftStride);
                        AmxTiles<TKernels>.Add(height, rowsOfTile, right + (panel * panelBytes), (depth + 1) / 2, block > 0, sums, next, padding);
                        sums += AmxTiles<TKernels>.SumsLength;
                        next += PrefetchedBytes;
                    }
                }
            }
        }

        private void Store(long firstRow, int partRows, long column, int columns, float* sums)
        {
            for (int cached = 0; cached < partRows; cached += CachedRows)
            {
                int cachedRows = Math.Min(CachedRows, partRows - cached);
                for (int j = 0; j < columns; j += BFloat16Panels.Columns)
                {
                    float* c = _problem.C + ((row + firstRow + cached) * _problem.RowStride) + ((column + j) * _problem.ColumnStride);
                    for (int tile = 0; tile < cachedRows; tile += AmxTiles<TKernels>.TallestRows)
                    {
                        int height = Math.Min(AmxTiles<TKernels>.TallestRows, cachedRows - tile);
                        StoreTile(sums, height, Math.Min(BFloat16Panels.Columns, columns - j), c + (tile * _problem.RowStride));
                        sums += AmxTiles<TKernels>.SumsLength;
                    }
                }
            }
        }

        private void StoreTile(float* sums, int height, int width, float* c)
        {
            if (width == BFloat16Panels.Columns && _problem.ColumnStride == 1)
            {
                AmxTiles<TKernels>.Store(sums, height, _problem.Alpha, _problem.Accumulate, c, _problem.RowStride);
                return;
            }

            for (int i = 0; i < height; i++)
            {
                for (int j = 0; j < width; j++)
                {
                    float* target = c + (i * _problem.RowStride) + (j * _problem.ColumnStride);
                    float sum = sums[(i * BFloat16Panels.Columns) + j];
                    *target = _problem.Accumulate ? MathF.FusedMultiplyAdd(sum, _problem.Alpha, *target) : sum * _problem.Alpha;
                }
            }
        }
    }
}
