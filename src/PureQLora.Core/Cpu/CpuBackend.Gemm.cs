using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>
    /// Up to so many rows on one side, the rows of the other are converted once and multiplied as they are: packing a quantised
    /// panel costs more than it saves. Measured at 2048 × 2048: from 64 rows on both are equal.
    /// </summary>
    private const int FewRows = 64;

    /// <summary>The same for rows that need no conversion; packing those is cheap.</summary>
    private const int FewDirectRows = 16;

    /// <summary>
    /// The same where panels are multiplied by <c>vdpbf16ps</c>, which earns back the packing sooner. Measured at 2048 × 2048 in groups of
    /// 64, int4: 0.52 against 0.39 ms at 4 rows, 2.6 against 1.1 ms at 64.
    /// </summary>
    private const int FewPairRows = 3;

    /// <summary>The same for float32 rows: equal between 12 and 16 rows.</summary>
    private const int FewDirectPairRows = 12;

    /// <summary>Shorter sums are not worth the addition of lanes at their end.</summary>
    private const int ShortestDot = 64;

    private void Gemm(in GemmProblem problem)
    {
        if (problem.M == 0 || problem.N == 0)
        {
            return;
        }

        if (problem.First.Depth == 0 && problem.Second.Depth == 0)
        {
            if (!problem.Accumulate)
            {
                System.Runtime.InteropServices.NativeMemory.Clear(problem.C, (nuint)(problem.M * problem.N * sizeof(float)));
            }

            return;
        }

        if (TryPackedProduct(problem) || TryHalfProduct(problem))
        {
            return;
        }

        switch (_tier)
        {
            case CpuTier.Amx when problem.Precision == Precision.BFloat16:
                Gemm<MicroKernel512, BFloat16Format<AmxTiles<AmxKernels>>>(problem);
                break;
            case CpuTier.Avx512BFloat16 when problem.Precision == Precision.BFloat16:
                Gemm<MicroKernel512, BFloat16Format<Avx512Tiles>>(problem);
                break;
            case >= CpuTier.Avx512:
                Gemm<MicroKernel512>(problem);
                break;
            case CpuTier.Avx2:
                Gemm<MicroKernel256>(problem);
                break;
            case CpuTier.Scalar:
                Gemm<MicroKernelScalar>(problem);
                break;
            default:
                Gemm<MicroKernel128>(problem);
                break;
        }
    }

    private void Gemm<TKernel>(in GemmProblem problem)
        where TKernel : struct, IMicroKernel
    {
        if (problem.Precision == Precision.BFloat16)
        {
            Gemm<TKernel, Float32Format<TKernel, RoundedOperands>>(problem);
        }
        else
        {
            Gemm<TKernel, Float32Format<TKernel, ExactOperands>>(problem);
        }
    }

    private void Gemm<TKernel, TFormat>(in GemmProblem problem)
        where TKernel : struct, IMicroKernel
        where TFormat : struct, IGemmFormat
    {
        bool leftIsFew = problem.M <= problem.N;
        GemmTerm term = problem.First;
        bool longRowsAreContiguous = leftIsFew ? term.RightIsInner : term.LeftIsInner;
        bool direct = (leftIsFew ? term.Right : term.Left).IsDirect;
        int few = typeof(TFormat) == typeof(BFloat16Format<AmxTiles<AmxKernels>>) ? FewTileRows
            : typeof(TFormat) == typeof(BFloat16Format<Avx512Tiles>) ? (direct ? FewDirectPairRows : FewPairRows)
            : direct ? FewDirectRows
            : FewRows;
        if (problem.Second.Depth == 0 && Math.Min(problem.M, problem.N) <= few && term.Depth >= ShortestDot && longRowsAreContiguous)
        {
            FewRowsProduct<TKernel>(leftIsFew ? problem : problem.Turned());
            return;
        }

        bool turns = problem.N <= TFormat.Columns / 2 && problem.M > problem.N;
        if (typeof(TFormat) == typeof(BFloat16Format<AmxTiles<AmxKernels>>))
        {
            AmxProduct<AmxKernels>(turns ? problem.Turned() : problem);
            return;
        }

        PackedProduct<TFormat>(turns ? problem.Turned() : problem);
    }

    /// <summary>Packs the left rows on all threads, then multiplies on all threads.</summary>
    private void PackedProduct<TFormat>(in GemmProblem problem)
        where TFormat : struct, IGemmFormat
    {
        GemmPlan<TFormat> plan = new(problem);
        long rowBlock = Math.Min(plan.RowBlock, problem.M);
        long blockBytes = TFormat.LeftBytes(rowBlock + TFormat.TallestRows, TFormat.InnerBlock);
        using Scratch left = Scratch.Rent(plan.Blocks * blockBytes / sizeof(float));
        for (long row = 0; row < problem.M; row += rowBlock)
        {
            long rows = Math.Min(rowBlock, problem.M - row);
            LeftPackBody<TFormat> pack = new(problem, plan, row, rows, (byte*)left.Floats, blockBytes);
            long packItems = pack.Count;
            _pool.For(packItems, rows * (problem.First.Depth + problem.Second.Depth) < ElementGrain ? packItems : 1, ref pack);

            TileBody<TFormat> body = new(problem, plan, row, rows, (byte*)left.Floats, blockBytes);
            long items = body.Count;
            bool small = rows * problem.N * (problem.First.Depth + problem.Second.Depth) < SmallProduct;
            _pool.For(items, small ? items : 1, ref body);
        }
    }

    /// <summary>Multiplications that one thread does before others have woken (a few microseconds).</summary>
    private const long SmallProduct = 1 << 17;

    /// <summary>One item packs a few panels of rows in one inner block.</summary>
    private readonly struct LeftPackBody<TFormat>(GemmProblem problem, GemmPlan<TFormat> plan, long row, long rows, byte* left, long blockBytes) : IParallelRange
        where TFormat : struct, IGemmFormat
    {
        private readonly GemmProblem _problem = problem;
        private readonly GemmPlan<TFormat> _plan = plan;

        /// <summary>The last chunk takes what is left, so that a short rest is packed as the product will read it.</summary>
        private long Chunks => Math.Max(1, rows / GemmPlan<TFormat>.RowUnit);

        public long Count => _plan.Blocks * Chunks;

        public void Run(long start, long end)
        {
            using Scratch buffer = Scratch.Rent(TFormat.BufferLength((int)(2 * GemmPlan<TFormat>.RowUnit)));
            for (long item = start; item < end; item++)
            {
                (long block, long chunk) = Math.DivRem(item, Chunks);
                long first = chunk * GemmPlan<TFormat>.RowUnit;
                int count = (int)(chunk == Chunks - 1 ? rows - first : GemmPlan<TFormat>.RowUnit);
                (long inner, int depth) = _plan.Block(block);
                ref readonly GemmTerm term = ref block < _plan.FirstBlocks ? ref _problem.First : ref _problem.Second;
                byte* target = left + (block * blockBytes) + TFormat.LeftBytes(first, depth);
                TFormat.PackLeft(term.Left, term.LeftIsInner, row + first, count, inner, depth, target, buffer.Floats);
            }
        }
    }

    /// <summary>One item is a group of rows by a group of column panels: it packs its columns block by block, and multiplies.</summary>
    private readonly struct TileBody<TFormat>(GemmProblem problem, GemmPlan<TFormat> plan, long row, long rows, byte* left, long blockBytes) : IParallelRange
        where TFormat : struct, IGemmFormat
    {
        /// <summary>Blocks whose sums are added in c itself: those of a small model's layer and its adapter.</summary>
        private const long MostDirectBlocks = 2;

        private readonly GemmProblem _problem = problem;
        private readonly GemmPlan<TFormat> _plan = plan;

        /// <summary>The last group takes what is left: only at whole units is a panel sure to start.</summary>
        private long Down => Math.Max(1, rows / _plan.RowGroup);

        private long ColumnGroup => (long)_plan.Panels * TFormat.Columns;

        public long Count => Down * ((_problem.N + ColumnGroup - 1) / ColumnGroup);

        public void Run(long start, long end)
        {
            using Scratch right = Scratch.Rent(_plan.Panels * TFormat.RightBytes(TFormat.InnerBlock) / sizeof(float));
            using Scratch buffer = Scratch.Rent(TFormat.BufferLength((int)ColumnGroup));
            using Scratch sums = Scratch.Rent(_plan.Panels * SumsOfPanel);
            for (long item = start; item < end; item++)
            {
                (long across, long down) = Math.DivRem(item, Down);
                (long column, long firstRow) = (across * ColumnGroup, down * _plan.RowGroup);
                int columns = (int)Math.Min(ColumnGroup, _problem.N - column);
                int groupRows = (int)(down == Down - 1 ? rows - firstRow : _plan.RowGroup);
                for (long block = 0; block < _plan.Blocks; block++)
                {
                    (long inner, int depth) = _plan.Block(block);
                    ref readonly GemmTerm term = ref block < _plan.FirstBlocks ? ref _problem.First : ref _problem.Second;
                    TFormat.PackRight(term.Right, term.RightIsInner, column, columns, inner, depth, (byte*)right.Floats, buffer.Floats);
                    AskForNext(block, column, columns);
                    byte* packedRows = left + (block * blockBytes) + TFormat.LeftBytes(firstRow, depth);
                    Multiply(packedRows, (byte*)right.Floats, groupRows, columns, depth, row + firstRow, column, block, sums.Floats);
                }
            }
        }

        /// <summary>Asks for what is packed after this block: pieces of rows that lie far apart are no stream to the processor.</summary>
        private void AskForNext(long block, long column, int columns)
        {
            bool within = block + 1 < _plan.Blocks;
            long next = within ? block + 1 : 0;
            (long inner, int depth) = _plan.Block(next);
            ref readonly GemmTerm term = ref next < _plan.FirstBlocks ? ref _problem.First : ref _problem.Second;
            long first = within ? column : column + ColumnGroup;
            int count = within ? columns : (int)Math.Min(columns, _problem.N - first);
            for (int i = 0; i < (term.RightIsInner ? count : depth) && count > 0; i++)
            {
                term.Right.Prefetch(term.RightIsInner ? first + i : inner + i, term.RightIsInner ? inner : first, term.RightIsInner ? depth : count);
            }
        }

        /// <summary>Floats of the sums of one column panel, whatever the group's rows.</summary>
        private long SumsOfPanel => (Math.Min(rows, 2 * _plan.RowGroup) + TFormat.TallestRows) * TFormat.Columns;

        /// <summary>
        /// Multiplies one block. Where there are more than two, sums stand side by side until the last: rows of c may lie a power of two
        /// apart, which maps all of them to a few sets of the caches.
        /// </summary>
        private void Multiply(byte* packedRows, byte* panels, int groupRows, int columns, int depth, long firstRow, long firstColumn, long block, float* sums)
        {
            bool last = block == _plan.Blocks - 1;
            for (int j = 0; j < columns; j += TFormat.Columns, panels += TFormat.RightBytes(depth), sums += SumsOfPanel)
            {
                int width = Math.Min(TFormat.Columns, columns - j);
                bool direct = _plan.Blocks <= MostDirectBlocks && _problem.ColumnStride == 1 && width == TFormat.Columns;
                float* target = _problem.C + (firstRow * _problem.RowStride) + ((firstColumn + j) * _problem.ColumnStride);
                for (int i = 0; i < groupRows;)
                {
                    int height = TFormat.PanelHeight(groupRows - i);
                    byte* packed = packedRows + TFormat.LeftBytes(i, depth);
                    float* tile = sums + ((long)i * TFormat.Columns);
                    if (last)
                    {
                        Prefetch(target, Math.Min(height, groupRows - i), width);
                    }

                    if (direct && height <= groupRows - i)
                    {
                        TFormat.Tile(height, packed, panels, depth, _problem.Alpha, block > 0 || _problem.Accumulate, target, _problem.RowStride);
                    }
                    else
                    {
                        TFormat.Tile(height, packed, panels, depth, 1f, block > 0, tile, TFormat.Columns);
                        if (last)
                        {
                            Store(tile, Math.Min(height, groupRows - i), width, target);
                        }
                    }

                    i += height;
                    target += height * _problem.RowStride;
                }
            }
        }

        /// <summary>Asks for the rows of c a tile ahead: they lie apart and are no stream to the processor.</summary>
        private void Prefetch(float* c, int height, int width)
        {
            for (int i = 0; Sse.IsSupported && _problem.ColumnStride == 1 && i < height; i++, c += _problem.RowStride)
            {
                Sse.Prefetch0(c);
                Sse.Prefetch0(c + width - 1);
            }
        }

        /// <summary>Writes the part of a tile that lies inside c, in whatever order c is.</summary>
        private void Store(float* tile, int height, int width, float* c)
        {
            int vectors = _problem.ColumnStride == 1 ? width / Vector256<float>.Count * Vector256<float>.Count : 0;
            Vector256<float> alpha = Vector256.Create(_problem.Alpha);
            for (int i = 0; i < height; i++, tile += TFormat.Columns, c += _problem.RowStride)
            {
                for (int j = 0; j < vectors; j += Vector256<float>.Count)
                {
                    Vector256<float> value = Vector256.Load(tile + j) * alpha;
                    (_problem.Accumulate ? value + Vector256.Load(c + j) : value).Store(c + j);
                }

                for (int j = vectors; j < width; j++)
                {
                    float value = _problem.Alpha * tile[j];
                    c[j * _problem.ColumnStride] = _problem.Accumulate ? c[j * _problem.ColumnStride] + value : value;
                }
            }
        }
    }
}
