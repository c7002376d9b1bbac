using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>
    /// c = x · wᵀ with x as <see cref="Int8Rounding"/> rounds it: where sums are of integers, the same bits for a row of x whatever rows are
    /// beside it, and at every tier.
    /// </summary>
    private void Int8Product(in GemmProblem problem, in PackedRows rows)
    {
        if (rows.IsScattered || rows.HasBook)
        {
            RoundedInt8Product(problem);
        }
        else if (_tier >= CpuTier.Avx512BFloat16 && problem.N >= Int8Tiles.Rows && Int8Codes.Fits(rows))
        {
            Int8TileProduct(problem, rows);
        }
        else
        {
            Int8DotProduct(problem, rows);
        }
    }

    /// <summary>Columns that belong to groups in an order of their own, or codes that are no numbers: the product of the rounded values in float32.</summary>
    private void RoundedInt8Product(in GemmProblem problem)
    {
        int k = (int)problem.First.Depth;
        using Scratch buffer = Scratch.Rent(k);
        using Scratch rounded = Scratch.Rent(problem.M * k);
        for (long i = 0; i < problem.M; i++)
        {
            Int8Rounding.Round(problem.First.Left.Row(i, 0, k, buffer.Floats), k, rounded.Floats + (i * k));
        }

        Gemm(problem with { Precision = Precision.Float32, First = problem.First with { Left = MatrixSource.Of(rounded.Floats, k) } });
    }

    private void Int8TileProduct(in GemmProblem problem, in PackedRows rows)
    {
        using Scratch x = Scratch.Rent((problem.M * rows.Blocks * new Int8Layout(Int8Codes.Bits(rows), rows.Parts, 1).BlockBytes / sizeof(float)) + 1);
        Int8ArrangeBody arrange = new(problem, rows, (byte*)x.Floats);
        _pool.For(Int8Passes(problem.M), 1, ref arrange);
        long tiles = (problem.N + Int8Tiles.Rows - 1) / Int8Tiles.Rows;
        long grain = Math.Max(1, PackedGrain(problem.N, rows.RowBytes) * PackedQuad / Int8Tiles.Rows);
        Int8TileBody body = new(problem, rows, (byte*)x.Floats, grain * _pool.Threads);
        _pool.For(tiles, grain, ref body);
    }

    /// <summary>Runs of the kernel for a tile of the weight, each for about as many rows of x.</summary>
    private static long Int8Passes(long rows) => (rows + Int8Tiles.MostRows - 1) / Int8Tiles.MostRows;

    private static (long First, int Count) Int8Pass(long rows, long pass)
    {
        (long passes, long first) = (Int8Passes(rows), rows * pass / Int8Passes(rows));
        return (first, (int)((rows * (pass + 1) / passes) - first));
    }

    /// <summary>Rounds and arranges the rows of x for each run of a kernel.</summary>
    private readonly struct Int8ArrangeBody(GemmProblem problem, PackedRows rows, byte* x) : IParallelRange
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            int k = _rows.Columns;
            bool direct = _problem.First.Left.IsDirect;
            using Scratch buffer = Scratch.Rent(direct ? 0 : (long)Int8Tiles.MostRows * k);
            for (long pass = start; pass < end; pass++)
            {
                (long first, int count) = Int8Pass(_problem.M, pass);
                float* left = direct ? _problem.First.Left.Row(first, 0, k, null) : buffer.Floats;
                if (!direct)
                {
                    CopyRows(_problem.First.Left, first, count, k, left);
                }

                int bits = Int8Codes.Bits(_rows);
                long rowBytes = (long)_rows.Blocks * new Int8Layout(bits, _rows.Parts, 1).BlockBytes;
                new Int8Layout(bits, _rows.Parts, count).Arrange(left, k, k, x + (first * rowBytes));
            }
        }
    }

    /// <summary>
    /// One item is some tiles of weight rows. A tile that would reach beyond the last row begins before it, and stores only what no other does.
    /// The beginning of an item costs 8 µs where memory is asked for it only then (Zen 5), so its end asks for the item that the thread will
    /// come to next if all threads keep pace; <paramref name="round"/> is the number of tiles from one to the other.
    /// </summary>
    private readonly struct Int8TileBody(GemmProblem problem, PackedRows rows, byte* x, long round) : IParallelRange
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            int bits = Int8Codes.Bits(_rows);
            long panelBytes = (long)_rows.Blocks * PackedRows.Block * bits / 8 * Int8Tiles.Rows;
            using Scratch panel = Scratch.Rent(panelBytes / sizeof(float));
            using Scratch spread = Scratch.Rent(bits == _rows.Bits ? 0 : panelBytes / sizeof(float));
            using Scratch factors = Scratch.Rent(Int8Factors.BufferLength(_rows));
            using Scratch sums = Scratch.Rent(_problem.M * Int8Tiles.Rows);
            Int8TileArguments arguments = new() { Panel = (byte*)panel.Floats };
            if (start < round)
            {
                Int8Codes.Prefetch(_rows, FirstRow(start));
            }

            for (long tile = start; tile < end; tile++)
            {
                long row = FirstRow(tile);
                long next = FirstRow(tile + 1 < end ? tile + 1 : start + round);
                Int8Codes.Locate(_rows, row, next, (byte*)spread.Floats, &arguments);
                float* arranged = Int8Factors.Arrange(_rows, row, factors.Floats);
                new Span<float>(sums.Floats, (int)(_problem.M * Int8Tiles.Rows)).Clear();
                Multiply(bits, arranged, sums.Floats, &arguments);
                Store(row, (int)((tile * Int8Tiles.Rows) - row), sums.Floats);
            }
        }

        private long FirstRow(long tile) => Math.Min(tile * Int8Tiles.Rows, _problem.N - Int8Tiles.Rows);

        private void Multiply(int bits, float* factors, float* sums, Int8TileArguments* arguments)
        {
            // What is ahead is asked for evenly over the first two passes; more would ask for what is there.
            long passes = Int8Passes(_problem.M);
            byte* ahead = arguments->Ahead;
            long rowBytes = (long)_rows.Blocks * new Int8Layout(bits, _rows.Parts, 1).BlockBytes;
            for (long pass = 0; pass < passes; pass++)
            {
                (long first, int count) = Int8Pass(_problem.M, pass);
                arguments->X = x + (first * rowBytes);
                arguments->Sums = sums + (first * Int8Tiles.Rows);
                arguments->Factors = factors;
                arguments->Blocks = _rows.Blocks;
                arguments->Ahead = pass > 1 ? ahead : arguments->Ahead;
                Int8Tiles.Run(bits, _rows.Parts, count, unpacks: pass == 0, asksForAll: passes == 1, arguments);
            }
        }

        /// <summary>Stores the sums of the weight rows of a tile but the first few.</summary>
        private void Store(long row, int skipped, float* sums)
        {
            for (long i = 0; i < _problem.M; i++, sums += Int8Tiles.Rows)
            {
                if (skipped > 0 || _problem.ColumnStride != 1)
                {
                    _problem.Store(i, row + skipped, Int8Tiles.Rows - skipped, sums + skipped);
                    continue;
                }

                float* c = _problem.C + (i * _problem.RowStride) + row;
                for (int j = 0; j < Int8Tiles.Rows; j += Vector512<float>.Count)
                {
                    Vector512<float> values = Vector512.Load(sums + j) * _problem.Alpha;
                    (_problem.Accumulate ? Vector512.Load(c + j) + values : values).Store(c + j);
                }
            }
        }
    }
}
