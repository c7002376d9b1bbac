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

    /// <summary>Shorter sums are not worth the addition of lanes at their end.</summary>
    private const int ShortestDot = 64;

    private void Gemm(ref GemmProblem problem)
    {
        if (problem.M == 0 || problem.N == 0 || problem.Batch == 0)
        {
            return;
        }

        if (problem.K == 0)
        {
            if (!problem.Accumulate)
            {
                System.Runtime.InteropServices.NativeMemory.Clear(problem.C, (nuint)(problem.Batch * problem.M * problem.N * sizeof(float)));
            }

            return;
        }

        switch (_tier)
        {
            case CpuTier.Avx512:
                Gemm<MicroKernel512>(ref problem);
                break;
            case CpuTier.Avx2:
                Gemm<MicroKernel256>(ref problem);
                break;
            default:
                Gemm<MicroKernel128>(ref problem);
                break;
        }
    }

    private void Gemm<TKernel>(ref GemmProblem problem)
        where TKernel : struct, IMicroKernel
    {
        bool leftIsFew = problem.M <= problem.N;
        bool longRowsAreContiguous = leftIsFew ? problem.TransposeB : !problem.TransposeA;
        int few = (leftIsFew ? problem.B : problem.A).IsDirect ? FewDirectRows : FewRows;
        if (problem.Batch == 1 && Math.Min(problem.M, problem.N) <= few && problem.K >= ShortestDot && longRowsAreContiguous)
        {
            FewRowsProduct<TKernel>(leftIsFew ? problem : problem.Turned());
            return;
        }

        if (problem.N <= TKernel.Columns / 2 && problem.M > problem.N)
        {
            problem = problem.Turned();
        }

        problem.Cut(TKernel.TallestRows, TKernel.Columns);
        long work = (long)problem.TileRows * problem.TileColumns * problem.K;
        long grain = problem.Tiles * work < 2 * GemmProblem.ItemWork ? problem.Tiles : Math.Max(1, GemmProblem.ItemWork / work);
        TileBody<TKernel> body = new(problem);
        _pool.For(problem.Tiles, grain, ref body);
    }

    /// <summary>One tile of c a work item: packs its share of both operands block by block, and multiplies.</summary>
    private readonly struct TileBody<TKernel>(GemmProblem problem) : IParallelRange
        where TKernel : struct, IMicroKernel
    {
        private readonly GemmProblem _problem = problem;

        public void Run(long start, long end)
        {
            int depth = (int)Math.Min(GemmProblem.InnerBlock, _problem.K);
            using Scratch left = Scratch.Rent((long)_problem.TileRows * depth);
            using Scratch right = Scratch.Rent((long)_problem.TileColumns * depth);
            using Scratch buffer = Scratch.Rent(PanelPacking<TKernel>.BufferLength(Math.Max(_problem.TileRows, _problem.TileColumns)));
            for (long item = start; item < end; item++)
            {
                long across = _problem.TilesAcross;
                (long batch, long tile) = Math.DivRem(item, _problem.TilesDown * across);
                Tile(batch, tile / across * _problem.TileRows, tile % across * _problem.TileColumns, left.Floats, right.Floats, buffer.Floats);
            }
        }

        private void Tile(long batch, long row, long column, float* left, float* right, float* buffer)
        {
            (MatrixSource a, MatrixSource b) = (_problem.A.Skip(batch * _problem.BatchStepA), _problem.B.Skip(batch * _problem.BatchStepB));
            int rows = (int)Math.Min(_problem.TileRows, _problem.M - row);
            int columns = (int)Math.Min(_problem.TileColumns, _problem.N - column);
            float* c = _problem.C + (batch * _problem.M * _problem.N) + (row * _problem.RowStride) + (column * _problem.ColumnStride);
            for (long p = 0; p < _problem.K; p += GemmProblem.InnerBlock)
            {
                int depth = (int)Math.Min(GemmProblem.InnerBlock, _problem.K - p);
                PanelPacking<TKernel>.Pack(a, !_problem.TransposeA, isLeft: true, row, rows, p, depth, left, buffer);
                PanelPacking<TKernel>.Pack(b, _problem.TransposeB, isLeft: false, column, columns, p, depth, right, buffer);
                if (_problem.RoundsOperands)
                {
                    BFloat16Vectors.Round(left, left, (long)_problem.TileRows * depth);
                    BFloat16Vectors.Round(right, right, (long)_problem.TileColumns * depth);
                }

                Multiply(left, right, rows, columns, depth, _problem.Accumulate || p > 0, c);
            }
        }

        private void Multiply(float* left, float* right, int rows, int columns, int depth, bool accumulate, float* c)
        {
            float* edge = stackalloc float[TKernel.TallestRows * TKernel.Columns];
            for (int j = 0; j < columns; j += TKernel.Columns)
            {
                int width = Math.Min(TKernel.Columns, columns - j);
                for (int i = 0; i < rows;)
                {
                    int height = TKernel.PanelHeight(rows - i);
                    float* target = c + (i * _problem.RowStride) + (j * _problem.ColumnStride);
                    (long a, long b) = ((long)i * depth, (long)j * depth);
                    if (_problem.ColumnStride == 1 && width == TKernel.Columns && height <= rows - i)
                    {
                        TKernel.Tile(height, left + a, right + b, depth, _problem.Alpha, accumulate, target, _problem.RowStride);
                    }
                    else
                    {
                        TKernel.Tile(height, left + a, right + b, depth, _problem.Alpha, false, edge, TKernel.Columns);
                        Store(edge, Math.Min(height, rows - i), width, accumulate, target);
                    }

                    i += height;
                }
            }
        }

        /// <summary>Copies the part of a tile that lies inside c, in whatever order c is.</summary>
        private void Store(float* edge, int height, int width, bool accumulate, float* c)
        {
            for (int i = 0; i < height; i++)
            {
                float* target = c + (i * _problem.RowStride);
                float* source = edge + (i * TKernel.Columns);
                for (int j = 0; j < width; j++, target += _problem.ColumnStride)
                {
                    *target = accumulate ? *target + source[j] : source[j];
                }
            }
        }
    }
}
