namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>The product of <see cref="Int8Dots"/>, row by row of the weight.</summary>
    private void Int8DotProduct(in GemmProblem problem, in PackedRows rows)
    {
        using Scratch columns = Scratch.Rent(2 * Int8Runs.Most(rows));
        Int8Runs runs = new(rows, (int*)columns.Floats);
        using Scratch x = Scratch.Rent(problem.M * Int8RowBytes(runs) / sizeof(float));
        Int8RoundBody round = new(problem, runs, (byte*)x.Floats);
        _pool.For(problem.M, RowGrain(runs.Columns), ref round);
        Int8DotBody body = new(problem, rows, runs, (byte*)x.Floats, _tier);
        _pool.For(problem.N, Math.Max(1, FewRowsItemWork / (problem.M * runs.Columns)), ref body);
    }

    /// <summary>Bytes of a row of x: a step and −Σ q of each run, then the q in whole blocks.</summary>
    private static long Int8RowBytes(in Int8Runs runs) =>
        (2L * sizeof(float) * runs.Count) + ((runs.Columns + PackedRows.Block - 1L) / PackedRows.Block * PackedRows.Block);

    private static sbyte* Int8RowCodes(in Int8Runs runs, byte* row) => (sbyte*)row + (2L * sizeof(float) * runs.Count);

    private readonly struct Int8RoundBody(GemmProblem problem, Int8Runs runs, byte* x) : IParallelRange
    {
        private readonly GemmProblem _problem = problem;

        public void Run(long start, long end)
        {
            using Scratch buffer = Scratch.Rent(runs.Columns);
            using Scratch memory = Scratch.Rent((runs.Columns / PackedRows.Block) + 1);
            int* totals = stackalloc int[Int8Rounding.Quarters];
            for (long i = start; i < end; i++)
            {
                float* source = _problem.First.Left.Row(i, 0, runs.Columns, buffer.Floats);
                byte* row = x + (i * Int8RowBytes(runs));
                sbyte* q = Int8RowCodes(runs, row);
                for (int column = 0; column < runs.Columns; column += PackedRows.Block)
                {
                    memory.Floats[column / PackedRows.Block] =
                        Int8Rounding.Quantize(source + column, Math.Min(PackedRows.Block, runs.Columns - column), q + column, totals);
                }

                for (int run = 0, column = 0; run < runs.Count; run++)
                {
                    ((float*)row)[2 * run] = memory.Floats[column / PackedRows.Block];
                    int total = 0;
                    for (; column < runs.End(run); column++)
                    {
                        total += q[column];
                    }

                    ((int*)row)[(2 * run) + 1] = -total;
                }
            }
        }
    }

    private readonly struct Int8DotBody(GemmProblem problem, PackedRows rows, Int8Runs runs, byte* x, CpuTier tier) : IParallelRange
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            // One spare vector: codes are unpacked by sixteen.
            using Scratch codes = Scratch.Rent((runs.Columns / sizeof(float)) + (CpuStorage.Alignment / sizeof(float)));
            for (long n = start; n < end; n++)
            {
                Int8Dots.Unpack(_rows, n, (byte*)codes.Floats);
                for (long i = 0; i < _problem.M; i++)
                {
                    float value = Dot((byte*)codes.Floats, n, x + (i * Int8RowBytes(runs)));
                    _problem.Store(i, n, 1, &value);
                }
            }
        }

        /// <summary>The sum of <see cref="Int8Tiles"/>: products of floats and their addition are rounded once each, a sum of integers never.</summary>
        private float Dot(byte* codes, long n, byte* row)
        {
            float* scales = _rows.Scales + (n * _rows.Groups);
            byte* zeros = _rows.Zeros + (n * _rows.Groups);
            sbyte* q = Int8RowCodes(runs, row);
            (float sum, int column) = (0f, 0);
            for (int run = 0; run < runs.Count; run++)
            {
                (float step, int total, int group) = (((float*)row)[2 * run], ((int*)row)[(2 * run) + 1], runs.Group(run));
                int product = Int8Dots.Sum(codes + column, q + column, runs.End(run) - column, tier) + (zeros[group] * total);
                sum = MathF.FusedMultiplyAdd(product * step, scales[group], sum);
                column = runs.End(run);
            }

            return sum;
        }
    }
}
